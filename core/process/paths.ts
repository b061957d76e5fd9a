import { readdir, realpath } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'

/** Whether an entry is what a path's last segment means; `*` is any characters. In linear time: the path is a stranger's. */
export function matches(path: string, entry: string): boolean {
  let end = 0
  return `/${basename(path)}/`.split('*').every((part) => {
    const at = `/${entry}/`.indexOf(part, end)
    end = at + part.length
    return at >= 0
  })
}

/** The paths that are there now for one with a `*` in its last segment. */
export async function entriesLike(path: string): Promise<string[]> {
  const entries = await readdir(dirname(path)).catch(() => [])
  return entries.filter((entry) => matches(path, entry)).map((entry) => join(dirname(path), entry))
}

/** Whether a path is this directory or lies below it. */
export const isWithin = (path: string, directory: string): boolean => `${path}${sep}`.startsWith(`${directory}${sep}`)

/** Without those that lie below another: Node.js denies both of a pair (20, 24), or falls over a path that is named twice (20). */
export function outermost(paths: readonly string[]): string[] {
  const all = [...new Set(paths)]
  return all.filter((path) => !all.some((other) => other !== path && isWithin(path, other)))
}

/** Without links; itself if it is not there. */
export const resolved = (path: string): Promise<string> => realpath(path).catch(() => path)

/**
 * What together is a directory without the links that lead out of it: the directory itself if there are none, else as few of the
 * paths below it as possible. Node.js follows a link wherever it leads.
 */
export async function withoutWaysOut(directory: string): Promise<readonly string[]> {
  const root = await resolved(directory)
  async function visit(path: string): Promise<{ readonly paths: readonly string[]; readonly isWhole: boolean }> {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
    const paths: string[] = []
    let isWhole = true
    for (const entry of entries) {
      const at = join(path, entry.name)
      if (entry.isDirectory()) {
        const below = await visit(at)
        isWhole &&= below.isWhole
        paths.push(...below.paths)
      } else if (!entry.isSymbolicLink() || isWithin(await resolved(at), root)) paths.push(at)
      else isWhole = false
    }
    return isWhole ? { paths: [path], isWhole } : { paths, isWhole }
  }
  return (await visit(root)).paths
}
