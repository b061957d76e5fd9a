import { watch } from 'node:fs'
import { join } from 'node:path'
import { DRIVE } from './storage.ts'

/** One drive brings several entries, and does not answer at once. */
const SETTLE_MS = 1000

/** Calls back, some time after, when drives came or went; at most once a second. `root` is `/` but in tests. Throws if that cannot be watched. */
export function watchDrives(onChange: () => void, root = '/'): () => void {
  let timer: NodeJS.Timeout | undefined
  const watcher = watch(join(root, 'dev'), { persistent: false }, (type, entry) => {
    // A change of what is in one is no change of which there are.
    if (type !== 'rename' || !entry || !DRIVE.test(entry)) return
    timer ??= setTimeout(() => {
      timer = undefined
      onChange()
    }, SETTLE_MS)
  })
  watcher.on('error', () => watcher.close())
  return () => {
    clearTimeout(timer)
    watcher.close()
  }
}
