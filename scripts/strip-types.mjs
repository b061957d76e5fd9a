// Lets Node 20 import TypeScript: types are blanked out, so lines and columns (and with them coverage) stay those of the source.
// Newer Node does this by itself. Only tests and build scripts use it; what is shipped is bundled JavaScript.
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import amaro from 'amaro'

if (isMainThread && !process.features.typescript) register(import.meta.url)

/** A module loading hook: https://nodejs.org/docs/latest-v20.x/api/module.html#loadurl-context-nextload */
export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !new URL(url).pathname.endsWith('.ts')) return nextLoad(url, context)
  const source = await readFile(new URL(url), 'utf8')
  return { format: 'module', shortCircuit: true, source: amaro.transformSync(source, { mode: 'strip-only' }).code }
}
