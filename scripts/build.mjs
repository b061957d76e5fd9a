// Builds dist/: the daemon, its command line, what plugins import, and the plugins that come with Patchbay.
// A file whose content is unchanged is not written again, so that a build beside a running daemon or test disturbs nothing.
import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isDeepStrictEqual, promisify } from 'node:util'
import { build } from 'esbuild'
import { builtinPlugins, exists } from './checks/sources.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const cache = join(root, 'node_modules/.cache/patchbay')

/** What stays an import: TypeBox is a dependency (plugins' types need it), the others are native parts that may be missing. */
const external = ['bufferutil', 'utf-8-validate', 'abstract-socket', 'x11']

// CommonJS libraries in the bundle want these three.
const banner = `import { createRequire as __createRequire } from 'node:module'
const require = __createRequire(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname`

const common = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'], // the UMD main of jsonc-parser cannot be bundled
  alias: { 'patchbay/plugin': './core/plugin/index.ts', 'patchbay/testing': './core/testing/index.ts' },
  logLevel: 'warning',
}

/** Leaves TypeBox out, and its import too where nothing of it is used. */
const typeboxOutside = {
  name: 'typebox-outside',
  setup: ({ onResolve }) => onResolve({ filter: /^typebox($|\/)/ }, ({ path }) => ({ path, external: true, sideEffects: false })),
}

/** Puts the evaluated data in the place of every built-in `contract.ts`: TypeBox takes longer to load than all else together. */
const contractsAsData = (contracts) => ({
  name: 'contracts-as-data',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/plugins\/[^/]+\/contract\.ts$/ }, ({ path }) => {
      const values = contracts.get(path)
      if (values === undefined) throw new Error(`${path} belongs to no plugin: its package.json has no "patchbay" field.`)
      return {
        contents: Object.entries(values)
          .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)}`)
          .join('\n'),
      }
    }),
})

/** Runs every `contract.ts` and returns its exports by path. Fails on a value that JSON would not hold. */
async function evaluateContracts(plugins) {
  await mkdir(cache, { recursive: true })
  const outdir = await mkdtemp(join(cache, 'contracts-'))
  try {
    const entryPoints = plugins.map(({ folder, directory }) => ({ in: join(directory, 'contract.ts'), out: folder }))
    await build({ ...common, entryPoints, outdir, outExtension: { '.js': '.mjs' }, packages: 'external' })
    const contracts = new Map()
    for (const { folder, directory } of plugins) {
      const values = { ...(await import(pathToFileURL(join(outdir, `${folder}.mjs`)).href)) }
      const data = JSON.parse(JSON.stringify(values))
      if (!isDeepStrictEqual(data, structuredClone(values)))
        throw new Error(`plugins/${folder}/contract.ts exports what JSON cannot hold.`)
      contracts.set(join(directory, 'contract.ts'), data)
    }
    return contracts
  } finally {
    await rm(outdir, { recursive: true })
  }
}

/** The files of one built-in plugin beside its code. */
async function pluginFiles({ folder, directory }, contracts) {
  const declared = Object.values(contracts.get(join(directory, 'contract.ts'))).filter((value) => typeof value?.id === 'string')
  if (declared.length !== 1)
    throw new Error(`plugins/${folder}/contract.ts must export one contract; it exports ${declared.length}.`)
  const manifest = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))
  const {
    scripts: _,
    devDependencies: __,
    ...shipped
  } = { ...manifest, type: 'module', main: './index.js', exports: './index.js' }
  const to = join(dist, 'plugins', declared[0].id)
  return [
    [join(to, 'contract.json'), `${JSON.stringify(declared[0], undefined, 2)}\n`],
    [join(to, 'package.json'), `${JSON.stringify(shipped, undefined, 2)}\n`],
    [join(to, 'README.md'), await readFile(join(directory, 'README.md'))],
  ]
}

async function bundle(plugins, contracts) {
  const entries = {
    main: 'core/main.ts',
    cli: 'scripts/cli/main.ts',
    plugin: 'core/plugin/index.ts',
    testing: 'core/testing/index.ts',
  }
  const entryPoints = []
  for (const [out, file] of Object.entries(entries)) if (await exists(join(root, file))) entryPoints.push({ in: file, out })
  for (const { folder, directory } of plugins)
    entryPoints.push({ in: join(directory, 'index.ts'), out: `plugins/${folder}/index` })
  const { outputFiles, metafile } = await build({
    ...common,
    entryPoints,
    outdir: dist,
    write: false,
    metafile: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    minify: true,
    keepNames: true,
    sourcemap: 'linked',
    legalComments: 'inline',
    banner: { js: banner },
    external,
    plugins: [typeboxOutside, contractsAsData(contracts)],
  })
  const files = outputFiles.map(({ path, contents }) => [path, contents])
  return [...files, [join(dist, 'THIRD-PARTY-LICENSES'), await licences(Object.keys(metafile.inputs))]]
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

/** The declarations of what plugins import, and of what those mention. */
async function declarations() {
  await mkdir(cache, { recursive: true })
  const outDir = await mkdtemp(join(cache, 'types-'))
  try {
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', join(root, 'tsconfig.types.json'), '--outDir', outDir])
    const paths = (await readdir(outDir, { recursive: true })).filter((path) => path.endsWith('.d.ts'))
    return await Promise.all(
      paths.map(async (path) => {
        const text = await readFile(join(outDir, path), 'utf8')
        return [join(dist, 'types', path), text.replaceAll(/(['"]\.{1,2}\/[^'"]*)\.ts(['"])/g, '$1.js$2')]
      }),
    )
  } catch (error) {
    throw error.stdout ? new Error(`tsc:\n${error.stdout}`) : error
  } finally {
    await rm(outDir, { recursive: true })
  }
}

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
  await utimes(join(dist, 'plugin.js'), new Date(), new Date())
}

async function makeDirectory(path) {
  if (path !== dist) await makeDirectory(dirname(path))
  await mkdir(path).catch((error) => {
    if (error.code !== 'EEXIST') throw error
  })
  await chmod(path, 0o755)
}

const started = performance.now()
const plugins = await builtinPlugins()
const types = declarations()
types.catch(() => {}) // awaited below, after what may fail before it
const contracts = await evaluateContracts(plugins)
const files = await Promise.all([bundle(plugins, contracts), types, ...plugins.map((plugin) => pluginFiles(plugin, contracts))])
await writeAll(files.flat())
console.log(
  `built ${relative(process.cwd(), dist) || dist} in ${((performance.now() - started) / 1000).toFixed(1)} s (plugins: ${plugins.map(({ folder }) => folder).join(', ') || 'none'})`,
)
