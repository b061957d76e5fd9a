// Builds the app (plugins/panel/app with every plugins/*/panel) with Vite: hashed names, compressed beforehand. What has not changed
// since it was last built is taken from the cache.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import esbuild from 'esbuild'
import { cache, exists, root } from '../checks/sources.mjs'
import { messages } from './messages.mjs'

const app = join(root, 'plugins/panel/app')
const kept = 16

/** `{ files, inputs, first }`: the files by path inside the app, every library's file that has a part in them, and what every page loads. */
export async function buildPanel() {
  const key = await digest()
  const file = join(cache, `panel-${key}.json`)
  if (await exists(file)) {
    const { files, ...others } = JSON.parse(await readFile(file, 'utf8'))
    return { files: files.map(([path, body]) => [path, Buffer.from(body, 'base64')]), ...others }
  }
  const built = await bundle()
  await keep(file, built)
  return built
}

async function bundle() {
  const { build } = await import('vite')
  const { output } = await build({
    configFile: false,
    root: app,
    base: '/panel/',
    logLevel: 'warn',
    clearScreen: false,
    publicDir: false,
    plugins: [messages()],
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      write: false,
      target: 'es2022',
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  })
  const files = [['frame.js', await frame()]]
  const inputs = new Set()
  for (const chunk of output) {
    const body = Buffer.from(chunk.type === 'chunk' ? chunk.code : chunk.source)
    files.push([chunk.fileName, body], ...(await compressed(chunk.fileName, body)))
    for (const id of Object.keys(chunk.modules ?? {}))
      if (id.includes('/node_modules/')) inputs.add(id.split('?')[0].replace(/^.*?\/node_modules\//, 'node_modules/'))
  }
  return { files, inputs: [...inputs].sort(), first: firstLoad(output) }
}

/** What runs first in the page of a third party's panel: one classic script. */
async function frame() {
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(app, 'src/frame.ts')],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
    charset: 'utf8',
  })
  return Buffer.from(outputFiles[0].contents)
}

/** The page, its style and script, what that imports, and the texts of the largest language. */
function firstLoad(output) {
  const entry = output.find((chunk) => chunk.isEntry)
  const styles = [...(entry.viteMetadata?.importedCss ?? [])]
  const texts = output.filter(({ facadeModuleId }) => facadeModuleId?.startsWith('\0virtual:messages/'))
  const largest = texts.sort((one, other) => other.code.length - one.code.length)[0]
  return ['index.html', entry.fileName, ...entry.imports, ...styles, largest.fileName]
}

async function compressed(name, body) {
  const [br, gz] = await Promise.all([promisify(brotliCompress)(body), promisify(gzip)(body, { level: 9 })])
  return [
    [`${name}.br`, br],
    [`${name}.gz`, gz],
  ]
}

/** Of everything that the app is made from. */
async function digest() {
  const hash = createHash('sha256')
  const directories = [app, join(root, 'scripts/panel')]
  for (const folder of (await readdir(join(root, 'plugins'))).sort()) directories.push(join(root, 'plugins', folder, 'panel'))
  const paths = [join(root, 'package-lock.json')]
  for (const directory of directories)
    if (await exists(directory))
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }))
        if (entry.isFile()) paths.push(join(entry.parentPath, entry.name))
  for (const path of paths.sort())
    hash
      .update(relative(root, path))
      .update('\0')
      .update(await readFile(path))
      .update('\0')
  return hash.digest('hex').slice(0, 24)
}

async function keep(file, { files, ...others }) {
  await mkdir(dirname(file), { recursive: true })
  const text = JSON.stringify({ files: files.map(([path, body]) => [path, body.toString('base64')]), ...others })
  await writeFile(`${file}.${process.pid}`, text)
  await rename(`${file}.${process.pid}`, file)
  const all = (await readdir(cache)).filter((name) => /^panel-\w+\.json$/.test(name))
  // Several checkouts may share this cache; the rest goes.
  for (const name of all.slice(0, Math.max(0, all.length - kept)))
    if (!file.endsWith(name)) await rm(join(cache, name), { force: true })
}
