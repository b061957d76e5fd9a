import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import { lstat, opendir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { absent, clip, Problem } from './problem.ts'

const maxEntries = 2000
const maxDepth = 16
const maxFileBytes = 8 * 1024 * 1024
/** Large, restless and full of links. A plugin's entry, contract and panel cannot lie in them. */
const unwalked: ReadonlySet<string> = new Set(['node_modules', '.git'])
/** No package, and nothing whose changes matter. */
export const isHidden = (name: string): boolean => name.startsWith('.') || unwalked.has(name)

/**
 * Throws a Problem if nothing at this place may be run: it is a link, neither file nor directory, or others may write it.
 * Owner and group of what is built in are not looked at: who may write there may write the core's own code beside it.
 */
export function checkTrust(stats: Stats, name: string, builtin: boolean): void {
  const distrust = (reason: string): never => {
    throw new Problem(`${name} ${reason}`)
  }
  if (stats.isSymbolicLink()) distrust('is a symbolic link, which is not followed; put what it points to in its place')
  if (!stats.isFile() && !stats.isDirectory()) distrust('is a pipe, a socket or a device; remove it')
  if (stats.mode & 0o002) distrust('may be written by everyone; chmod o-w it')
  if (builtin) return
  if (stats.uid !== 0 && stats.uid !== process.getuid?.())
    distrust(`belongs to another user (uid ${stats.uid}); chown it to root or to the user that Patchbay runs as`)
  if (stats.mode & 0o020 && stats.gid !== process.getgid?.())
    distrust(`may be written by another group (gid ${stats.gid}); chmod g-w it`)
}

/**
 * Inspects a package and returns a digest (SHA-256, hex) of the names, sizes and modification times in it; what lies in
 * `node_modules` or `.git` does not count. No file is opened. Throws a Problem, or what a system call failed with.
 */
export async function packageWalk(dir: string, { builtin }: { builtin: boolean }): Promise<string> {
  const lines: string[] = []
  let entries = 0
  async function visit(path: string, depth: number): Promise<void> {
    const stats = await lstat(join(dir, path))
    const name = path === '' ? 'the package directory' : clip(path)
    checkTrust(stats, name, builtin)
    if (unwalked.has(basename(path))) return
    lines.push(JSON.stringify(stats.isFile() ? [path, stats.size, stats.mtimeMs] : [path]))
    if (stats.size > maxFileBytes) throw new Problem(`${name} is larger than 8 MiB; keep data outside the package`)
    if (stats.isFile()) return
    if (depth > maxDepth) throw new Problem(`${name} lies deeper than ${maxDepth} directories; make the package flatter`)
    for await (const { name: child } of await opendir(join(dir, path))) {
      if (++entries > maxEntries)
        throw new Problem(`the package holds more than ${maxEntries} files; leave out what it does not run on`)
      if (child.includes('\ufffd')) throw new Problem(`${clip(join(path, child))} has a name that is not UTF-8; rename it`)
      // What is replaced while it is read is no defect; the change is noticed and leads here again.
      await visit(join(path, child), depth + 1).catch(absent)
    }
  }
  await visit('', 0)
  // A directory is read in no particular order.
  return createHash('sha256').update(lines.sort().join()).digest('hex')
}
