import { cp, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporary } from '../core/lifecycle/lab.ts'

export const root = new URL('../..', import.meta.url).pathname
const links: ReadonlyArray<[link: string, target: string]> = [
  ['patchbay', root],
  ['typescript', join(root, 'node_modules/typescript')],
  ['@types/node', join(root, 'node_modules/@types/node')],
  ['.bin/tsc', '../typescript/bin/tsc'],
  ['.bin/patchbay', '../patchbay/dist/cli.js'],
]

/** A copy of an example, with what npm would install for it. */
export async function copyExample(t: Test, folder: string): Promise<string> {
  const dir = join(await temporary(t), 'led')
  await cp(join(root, 'test/examples', folder), dir, { recursive: true })
  for (const [link, target] of links) {
    await mkdir(join(dir, 'node_modules', link, '..'), { recursive: true })
    await symlink(target, join(dir, 'node_modules', link))
  }
  return dir
}
