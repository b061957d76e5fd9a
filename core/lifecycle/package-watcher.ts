import { lstat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FSWatcher, watch } from 'chokidar'
import { isHidden } from './package-walk.ts'

const maxWatched = 2048
/** Levels of directories below a plugin directory; the packages are the first. */
const depth = 3
const settleMs = 200
/** However busy a directory is, its changes wait no longer than this. */
const maxSettleMs = 2000
const unnoticed = 'Not every change of a plugin is noticed at once'

/**
 * Calls `onChange` some 200 ms after the last of a burst of changes in the plugin directories, those among them that do not
 * exist yet included. All watches are set anew before each call: what came, went or was replaced is watched as it is, and
 * nothing is missed between its reading and its watching.
 */
export class PackageWatcher {
  readonly #dirs: readonly string[]
  readonly #onChange: () => Promise<void>
  #watcher: FSWatcher | undefined
  #refresh: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #changedAt: number | undefined
  isClosed = false
  /** Why changes may go unnoticed. */
  readonly problems = new Set<string>()

  constructor(dirs: readonly string[], onChange: () => Promise<void>) {
    this.#dirs = dirs
    this.#onChange = onChange
  }

  /** Sets the watches and calls `onChange` for the first time; resolves when that is done. */
  start(): Promise<void> {
    this.#refresh = this.#refresh.then(async () => {
      this.#changedAt = undefined
      await this.#watcher?.close()
      if (this.isClosed) return
      await this.#watch()
      if (!this.isClosed) await this.#onChange()
    })
    return this.#refresh
  }

  async close(): Promise<void> {
    this.isClosed = true
    clearTimeout(this.#timer)
    await this.#refresh
    await this.#watcher?.close()
  }

  async #watch(): Promise<void> {
    this.problems.clear()
    const tops = await Promise.all(this.#dirs.map(nearestDirectory))
    const watched = new Set<string>()
    const mayWatch = (path: string): boolean => {
      if (tops.includes(path)) return true
      if (isHidden(basename(path)) || !this.#dirs.some((dir) => isIn(path, dir))) return false
      if (watched.size < maxWatched) watched.add(path)
      else this.problems.add(`${unnoticed}: there are more than ${maxWatched} directories in packages; remove some.`)
      return watched.has(path)
    }
    // Only directories are watched. They tell of the files in them, by `raw` events.
    const ignored = (path: string, stats?: { isDirectory(): boolean }) =>
      stats !== undefined && !(stats.isDirectory() && mayWatch(path))
    const watcher = watch(tops, { ignoreInitial: true, followSymlinks: false, depth, ignored })
    this.#watcher = watcher
    watcher.on('raw', (_event, name: string | null, details) => {
      const { watchedPath } = details as { watchedPath: string }
      if (this.#concerns(watchedPath, name ?? basename(watchedPath))) this.#changed()
    })
    watcher.on('error', (error) => {
      this.problems.add(`${unnoticed}: ${String(error)}; raise fs.inotify.max_user_watches with sysctl.`)
    })
    // A directory that vanishes at the wrong moment can keep chokidar from being ready.
    await Promise.race([
      new Promise<void>((ready) => watcher.once('ready', ready)),
      sleep(maxSettleMs, undefined, { ref: false }),
    ])
  }

  /** What happens above a plugin directory counts only if it is about that directory. A directory's own end has its own name. */
  #concerns(watchedPath: string, name: string): boolean {
    const path = join(watchedPath, name)
    return name === basename(watchedPath) || this.#dirs.some((dir) => isIn(dir, path) || (isIn(path, dir) && !isHidden(name)))
  }

  #changed(): void {
    if (this.isClosed) return
    const now = performance.now()
    this.#changedAt ??= now
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.start(), Math.min(settleMs, this.#changedAt + maxSettleMs - now))
  }
}

const isIn = (path: string, dir: string): boolean => !/^\.\.(\/|$)/.test(relative(dir, path))

/** The directory itself or, where it is missing, the one in which it or its parent will appear. */
async function nearestDirectory(path: string): Promise<string> {
  const stats = await lstat(path).catch(() => undefined) // What is wrong with it, the scan tells.
  return stats?.isDirectory() || path === dirname(path) ? path : nearestDirectory(dirname(path))
}
