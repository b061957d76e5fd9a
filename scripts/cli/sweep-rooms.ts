import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMarked, roomSuffix } from '../../core/process/sweep.ts'

/** Longer than it takes from the directory of a run to its first process. */
const settledMs = 60_000
const named = /^patchbay-[a-z0-9-]+-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** Removes the temporary directories of plugins' processes that were left when a daemon of this user was killed. */
export async function sweepRooms(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const run = named.exec(name)?.[1]
    if (!run || !name.endsWith(roomSuffix(run))) continue
    const { uid, mtimeMs } = await lstat(join(directory, name)).catch(() => ({ uid: -1, mtimeMs: 0 }))
    if (uid !== process.getuid?.() || Date.now() - mtimeMs < settledMs || isMarked(run)) continue
    await rm(join(directory, name), { recursive: true, force: true })
  }
}
