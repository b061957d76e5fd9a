import { stat } from 'node:fs/promises'

/**
 * Whoever owns the data owns what is written there; and root, who can do more, does not write in a directory that somebody else can
 * change. For the rest of this process, and for what it starts.
 */
export async function becomeOwnerOf(directory: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = await stat(directory)
  if (uid === 0) return
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

/** Does this as the owner of what lies at `path` where root asks for it, so that no link in there leads to what only root may read. */
export async function asOwnerOf<T>(path: string, work: () => Promise<T>): Promise<T> {
  const { uid, gid } = await stat(path)
  if (process.geteuid?.() !== 0 || uid === 0) return work()
  const groups = process.getgroups?.() ?? []
  process.setgroups?.([gid])
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return await work()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
    process.setgroups?.(groups)
  }
}
