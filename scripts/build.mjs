// Builds dist/: the daemon, its command line, what plugins import, and the plugins that come with Patchbay.
// A file whose content is unchanged is not written again, so that a build beside a running daemon or test disturbs nothing.
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { bundling, evaluateContracts } from './checks/contracts.mjs'
import { builtinPlugins, cache, root } from './checks/sources.mjs'
import { buildPanel } from './panel/build.mjs'

const dist = join(root, 'dist')

/** What stays an import: TypeBox is a dependency (plugins' types need it), the others are native parts that may be missing. */
const external = ['bufferutil', 'utf-8-validate', 'abstract-socket', 'x11']

// CommonJS libraries in the bundle want these three.
const banner = `import { createRequire as __createRequire } from 'node:module'
const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname`

/** Leaves TypeBox out, and its import too where nothing of it is used. */
const typeboxOutside = {
  name: 'typebox-outside',
  setup: ({ onResolve }) => onResolve({ filter: /^typebox($|\/)/ }, ({ path }) => ({ path, external: true, sideEffects: false })),
}

/**
 * Gives a CommonJS package that is imported when needed (`const { Ajv } = await import('ajv')`) the named exports that Node finds
 * in it; a bundle has only its default export.
 */
const namedExportsOfCommonJs = {
  name: 'named-exports-of-commonjs',
  setup({ onResolve, onLoad }) {
    const require = createRequire(join(root, 'package.json'))
    onResolve({ filter: /^[a-z@]/ }, async ({ path, kind, importer }) => {
      if (kind !== 'dynamic-import' || path.startsWith('node:') || importer.includes('node_modules')) return undefined
      const found = await import(path)
      return found.default === require(path) ? { path, namespace: 'commonjs', pluginData: Object.keys(found) } : undefined
    })
    onLoad({ filter: /.*/, namespace: 'commonjs' }, ({ path, pluginData }) => {
      const names = pluginData.filter((name) => /^[a-zA-Z_$][\w$]*$/.test(name) && name !== 'default')
      const exports = names.map((name) => `const _${name} = all.${name}; export { _${name} as ${name} }`)
      return { contents: `const all = require('${path}'); export default all\n${exports.join('\n')}`, resolveDir: root }
    })
  },
}

/** What json-schema-to-typescript imports for work that it never does here: it formats nothing and reads no YAML. */
const leftOut = {
  prettier: 'module.exports = {}',
  'js-yaml': 'module.exports = { CORE_SCHEMA: { withTags() {} } }',
}
const withoutUnused = {
  name: 'without-unused',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(prettier|js-yaml)$/ }, ({ path }) => ({ path, namespace: 'left-out' }))
    onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({ contents: leftOut[path] }))
  },
}

/** Puts the evaluated data in the place of every built-in `contract.ts`: TypeBox takes longer to load than all else together. */
const contractsAsData = (contracts) => ({
  name: 'contracts-as-data',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/plugins\/[^/]+\/contract\.ts$/ }, ({ path }) => {
      const values = contracts.get(path)?.values
      if (values === undefined) throw new Error(`${path} belongs to no plugin: its package.json has no "patchbay" field.`)
      return {
        contents: Object.entries(values)
          .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)}`)
          .join('\n'),
      }
    }),
})

/** The files of one built-in plugin beside its code. */
async function pluginFiles({ folder, directory }, contracts) {
  const { contract } = contracts.get(join(directory, 'contract.ts'))
  const extra = (await readdir(directory)).filter(
    (name) => name.endsWith('.json') && name !== 'package.json' && name !== 'released.json',
  )
  const copies = ['package.json', 'README.md', ...extra].map(async (name) => [
    join(dist, 'plugins', folder, name),
    await readFile(join(directory, name)),
  ])
  return [
    [join(dist, 'plugins', folder, 'contract.json'), `${JSON.stringify(contract, undefined, 2)}\n`],
    ...(await Promise.all(copies)),
  ]
}

async function bundle(plugins, contracts, panel) {
  const entries = {
    main: 'core/main.ts',
    cli: 'scripts/cli/main.ts',
    plugin: 'core/plugin/index.ts',
    testing: 'core/testing/index.ts',
    child: 'core/process/child-main.ts',
  }
  const entryPoints = Object.entries(entries).map(([out, file]) => ({ in: file, out }))
  for (const { folder, directory } of plugins)
    entryPoints.push({ in: join(directory, 'index.ts'), out: `plugins/${folder}/index` })
  const { outputFiles, metafile } = await build({
    ...bundling,
    entryPoints,
    outdir: dist,
    write: false,
    metafile: true,
    splitting: true,
    chunkNames: '[name]-[hash]', // beside the entries, so that import.meta.url means dist/ in every file
    // The quickest start of what was tried, with names that can still be read in a stack trace.
    minifyWhitespace: true,
    minifySyntax: true,
    lineLimit: 160,
    sourcemap: 'linked',
    sourcesContent: false,
    legalComments: 'inline',
    banner: { js: banner },
    external,
    plugins: [typeboxOutside, withoutUnused, namedExportsOfCommonJs, contractsAsData(contracts)],
  })
  return [
    ...withoutForeignMaps(outputFiles).map(({ path, text }) => [path, executable(path, text)]),
    [join(dist, 'http/login.html'), await readFile(join(root, 'core/http/login.html'))],
    [join(dist, 'THIRD-PARTY-LICENSES'), await licences([...Object.keys(metafile.inputs), ...panel.inputs])],
    ...panel.files.map(([path, contents]) => [join(dist, 'plugins/panel/app', path), contents]),
  ]
}

/** Leaves out the source maps of what is only libraries' code: a third of the package, and nobody debugs it here. */
function withoutForeignMaps(outputFiles) {
  const isForeign = ({ path, text }) =>
    path.endsWith('.map') && JSON.parse(text).sources.every((source) => source.includes('node_modules/') || source.includes(':'))
  const foreign = new Set(outputFiles.filter(isForeign).map(({ path }) => path))
  return outputFiles
    .filter(({ path }) => !foreign.has(path))
    .map(({ path, text }) => ({
      path,
      text: foreign.has(`${path}.map`) ? text.replace(/^\/\/# sourceMappingURL=.*\n?/m, '') : text,
    }))
}

/** Puts the line that names the interpreter before the command line's code, and moves its source map down by that line. */
function executable(path, text) {
  if (path === join(dist, 'cli.js')) return `#!/usr/bin/env node\n${text}`
  if (path === join(dist, 'cli.js.map')) return text.replace('"mappings": "', '"mappings": ";')
  return text
}

/** The licence of every package that has code in the bundle. */
async function licences(inputs) {
  const packages = new Set(inputs.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean))
  const texts = [...packages].sort().map(async (directory) => {
    const { name, version, license } = JSON.parse(await readFile(join(root, directory, 'package.json'), 'utf8'))
    const file = (await readdir(join(root, directory))).find((entry) => /^licen[cs]e/i.test(entry))
    const text = file === undefined ? '' : `\n${(await readFile(join(root, directory, file), 'utf8')).trim()}\n`
    return `${name} ${version} (${license})\n${text}`
  })
  return [...new Set(await Promise.all(texts))].join(`\n${'-'.repeat(80)}\n\n`)
}

/** The declarations of what plugins import, and of what those mention. Types are checked by `npm run check`. */
async function declarations() {
  await mkdir(cache, { recursive: true })
  const outDir = await mkdtemp(join(cache, 'types-'))
  try {
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), [
      '-p',
      join(root, 'tsconfig.types.json'),
      '--noCheck',
      '--outDir',
      outDir,
    ])
    const files = new Map()
    const collect = async (path) => {
      if (files.has(path)) return
      const text = await readFile(join(path.endsWith('.json') ? root : outDir, path), 'utf8')
      files.set(path, text.replaceAll(importOfTypeScript, '$1.js$2'))
      for (const [, name] of text.matchAll(/(?:from|import) ?\(?['"](\.[^'"]+)['"]/g)) {
        await collect(join(dirname(path), name.replace(/\.ts$/, '.d.ts')))
      }
    }
    for (const entry of entriesWithTypes) await collect(entry)
    return [...files].map(([path, text]) => [join(dist, 'types', path), text])
  } catch (error) {
    throw error.stdout ? new Error(`tsc:\n${error.stdout}`) : error
  } finally {
    await rm(outDir, { recursive: true })
  }
}
const entriesWithTypes = ['core/plugin/index.d.ts', 'core/testing/index.d.ts']
const importOfTypeScript = /(['"]\.{1,2}\/[^'"]*)\.ts(['"])/g

/** Writes what changed and removes what no longer belongs. Modes do not depend on the umask: the daemon refuses plugins that others may write. */
async function writeAll(files) {
  for (const [path, contents] of files) {
    const old = await readFile(path).catch(() => undefined)
    await makeDirectory(dirname(path))
    if (!old?.equals(Buffer.from(contents))) {
      await writeFile(`${path}.new`, contents)
      await rename(`${path}.new`, path)
    }
    await chmod(path, path === join(dist, 'cli.js') ? 0o755 : 0o644)
  }
  const kept = new Set(files.map(([path]) => path))
  for (const path of [...kept]) for (let up = dirname(path); up.startsWith(dist); up = dirname(up)) kept.add(up)
  for (const entry of await readdir(dist, { recursive: true })) {
    if (!kept.has(join(dist, entry))) await rm(join(dist, entry), { recursive: true, force: true })
  }
  // scripts/start.sh compares the sources with this one.
  await utimes(join(dist, 'main.js'), new Date(), new Date())
}

async function makeDirectory(path) {
  if (path !== dist) await makeDirectory(dirname(path))
  await mkdir(path).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  await chmod(path, 0o755)
}

async function main() {
  const started = performance.now()
  const plugins = await builtinPlugins()
  const contracts = await evaluateContracts(plugins)
  const panel = await buildPanel()
  const files = await Promise.all([
    bundle(plugins, contracts, panel),
    declarations(),
    ...plugins.map((plugin) => pluginFiles(plugin, contracts)),
  ])
  await writeAll(files.flat())
  const names = plugins.map(({ folder }) => folder).join(', ')
  console.log(`built dist/ with the plugins ${names} in ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

main().catch((error) => {
  if (!error.errors) console.error(error) // esbuild has told its own
  process.exitCode = 1
})
