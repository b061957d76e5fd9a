// Lets Node 20 import TypeScript: types are blanked out, so lines and columns (and with them coverage) stay those of the source.
// Newer Node does this by itself. Only tests and build scripts use it; what is shipped is bundled JavaScript.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'

if (isMainThread && !process.features.typescript) register(import.meta.url)

const kept = new URL('../node_modules/.cache/strip-types/', import.meta.url)

/** A module loading hook: https://nodejs.org/docs/latest-v20.x/api/module.html#loadurl-context-nextload */
export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !new URL(url).pathname.endsWith('.ts')) return nextLoad(url, context)
  return { format: 'module', shortCircuit: true, source: await strip(await readFile(new URL(url), 'utf8')) }
}

/** Hundreds of processes of the tests want the same files: the work is done once, and kept by the source's digest. */
async function strip(source) {
  const file = new URL(`${createHash('sha256').update(source).digest('hex')}.js`, kept)
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) return known
  const { transformSync } = await import('amaro')
  const { code } = transformSync(source, { mode: 'strip-only' })
  const fresh = new URL(`.${process.pid}-${process.hrtime.bigint()}`, kept)
  // Where nothing can be kept, the next process does it again.
  await mkdir(kept, { recursive: true })
    .then(() => writeFile(fresh, code))
    .then(() => rename(fresh, file))
    .catch(() => undefined)
  return code
}
