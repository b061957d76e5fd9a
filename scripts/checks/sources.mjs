// What the build and the checks know about the repository's own files.
import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
export const cache = join(root, 'node_modules/.cache/patchbay')

export const exists = (path) =>
  access(path).then(
    () => true,
    () => false,
  )

/** The plugins that come with Patchbay: `{ folder, directory, manifest }`, every folder of plugins/ whose package.json has a `patchbay` field. */
export async function builtinPlugins() {
  const found = []
  for (const folder of (await readdir(join(root, 'plugins'))).sort()) {
    const directory = join(root, 'plugins', folder)
    if (!(await exists(join(directory, 'package.json')))) continue
    const manifest = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'))
    if (manifest.patchbay !== undefined) found.push({ folder, directory, manifest })
  }
  return found
}

/** Every TypeScript file under a directory of the repository, as paths relative to the root. */
export async function sources(directory) {
  if (!(await exists(join(root, directory)))) return []
  const entries = await readdir(join(root, directory), { recursive: true })
  return entries
    .filter((path) => path.endsWith('.ts'))
    .map((path) => `${directory}/${path}`)
    .sort()
}
