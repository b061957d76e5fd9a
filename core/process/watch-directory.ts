import { existsSync, type FSWatcher, watch } from 'node:fs'
import { basename, dirname, relative } from 'node:path'

/**
 * Calls back with the name of an entry of `directory` that came, went or changed, and without one when the directory itself
 * did. While it is missing its nearest existing parent is watched instead. Does not keep the process alive. A directory
 * that may not be watched (no right to read it, no watches left on the machine) raises no events.
 */
export function watchDirectory(directory: string, onEvent: (entry?: string) => void): () => void {
  let watcher: FSWatcher | undefined
  const follow = (target = nearest(directory)) => {
    const [next] = relative(target, directory).split('/')
    watcher?.close()
    try {
      watcher = watch(target, { persistent: false }, (_type, entry) => {
        const itself = entry === next || entry === basename(target)
        // deleted or moved: another of the same name may be there already, which this watch does not see
        if (itself) follow()
        if (itself || target === directory) onEvent(itself ? undefined : (entry ?? undefined))
      })
    } catch {
      watcher = undefined
    }
    // what came or went before the watch was set raised no event
    if (target !== nearest(directory)) follow()
  }
  follow()
  return () => watcher?.close()
}

function nearest(directory: string): string {
  return existsSync(`${directory}/.`) ? directory : nearest(dirname(directory))
}
