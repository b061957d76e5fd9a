import { constants } from 'node:fs'
import { copyFile, lstat, mkdir, mkdtemp, opendir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../plugin/context.ts'
import type { PluginStatus } from '../plugin/host-control.ts'
import { packageWalk } from './package-walk.ts'
import { type Found, readPackage } from './read-package.ts'

const most = { bytes: 32 * 1024 * 1024, entries: 5000 }

export interface LastGoodOptions {
  /** Below it a directory for each plugin, and in that one copy of its package, named by the digest of what was copied. */
  readonly dir: string
  /** The host's lines about a plugin. */
  readonly logFor: (id: string) => Log
  /** Milliseconds that a version must have run. */
  readonly keepAfterMs: number
  /** Another version is to be run in the place of one on disk. */
  readonly onChange: () => void
}

interface StandIn {
  /** What did not run: this code, for this reason if it cannot be read, with these settings. */
  readonly tried: string
  readonly copy: Found
}

type Settings = Readonly<Record<string, unknown>>

const attempt = ({ digest, problem }: Found, settings: Settings) => JSON.stringify([digest, problem, settings])

/**
 * Keeps a copy of the version of each third party's plugin that last ran, and has it stand in for a version on disk that does not
 * start or cannot be read, until its files or its settings change again or an owner restarts the plugin. For plugins in a process of
 * their own.
 */
export class LastGood {
  readonly #options: LastGoodOptions
  /** By the package's directory. */
  readonly #standIns = new Map<string, StandIn>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  #work: Promise<unknown> = Promise.resolve()

  constructor(options: LastGoodOptions) {
    this.#options = options
  }

  /** What is to be run of the package that was found: itself, or the copy that stands in for it. */
  async choose(found: Found, settings: Settings): Promise<Found> {
    const { dir, digest, problem } = found
    const standIn = this.#standIns.get(dir)
    if (standIn?.tried === attempt(found, settings)) return standIn.copy
    this.#standIns.delete(dir)
    // With a digest it could be read: its problem is another package's claim to its name.
    if (problem === undefined || digest !== undefined) return found
    return (await this.#replace(found, settings, problem)) ?? found
  }

  /** Hears what becomes of a version that runs, or should. */
  note(found: Found, settings: Settings, { state, reason = '' }: Pick<PluginStatus, 'state' | 'reason'>): void {
    const { dir } = found
    clearTimeout(this.#timers.get(dir))
    this.#timers.delete(dir)
    if (found.standsIn || found.problem) return
    if (state === 'running')
      this.#timers.set(dir, setTimeout(() => void this.#do(() => this.#keep(found)), this.#options.keepAfterMs).unref())
    if (state !== 'failed' && state !== 'quarantined') return
    void this.#do(async () => {
      if (await this.#replace(found, settings, reason)) this.#options.onChange()
    })
  }

  /** The version on disk is to be tried again. True if another stands in for it. */
  retry(dir: string): boolean {
    return this.#standIns.delete(dir)
  }

  /** Forgets the plugins that are no longer there. */
  sweep(ids: ReadonlySet<string>): Promise<void> {
    return this.#do(async () => {
      const kept = await readdir(this.#options.dir).catch((): string[] => [])
      for (const id of kept) if (!ids.has(id)) await rm(join(this.#options.dir, id), { recursive: true, force: true })
    })
  }

  /** Resolves when nothing is being copied any more. */
  async close(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await this.#work
  }

  async #replace(found: Found, settings: Settings, reason: string): Promise<Found | undefined> {
    const { dir, id, digest, version } = found
    const home = join(this.#options.dir, id)
    const [kept] = (await readdir(home).catch((): string[] => [])).filter((name) => !name.startsWith('.'))
    // Of the same code it is no fault of a change.
    if (kept === undefined || kept === digest) return undefined
    const copy = await readPackage(join(home, kept), { builtin: false })
    if (!copy || copy.problem || copy.id !== id) return undefined
    const standsIn = `Version ${version || 'on disk'} failed (${reason.replace(/\.$/, '')}); ${copy.version}, which ran before, stands in for it.`
    this.#options.logFor(id).warn({ version, reason }, 'rolled back to the version that ran before')
    this.#standIns.set(dir, { tried: attempt(found, settings), copy: { ...copy, standsIn } })
    return { ...copy, standsIn }
  }

  async #keep({ dir, id, digest = '' }: Found): Promise<void> {
    const home = join(this.#options.dir, id)
    if ((await readdir(home).catch((): string[] => [])).includes(digest)) return
    await mkdir(home, { recursive: true, mode: 0o700 })
    const fresh = await mkdtemp(join(home, '.new-'))
    try {
      await copyTree(dir, fresh, { ...most })
      // What changed while it was copied is no version that ran.
      if ((await packageWalk(dir, { builtin: false })) !== digest) return
      await rename(fresh, join(home, digest))
      for (const name of await readdir(home)) if (name !== digest) await rm(join(home, name), { recursive: true, force: true })
    } catch (error) {
      this.#options
        .logFor(id)
        .warn({ err: error }, 'this version cannot be kept, so that a later one could not be rolled back to it')
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  }

  /** One after the other. What fails leaves a plugin as it is. */
  #do(work: () => Promise<void>): Promise<void> {
    const done = this.#work.then(work).catch(() => undefined)
    this.#work = done
    return done
  }
}

/** Regular files and directories; a link, a pipe or a device is no part of what runs. Throws beyond what is `left`. */
async function copyTree(from: string, to: string, left: { bytes: number; entries: number }): Promise<void> {
  for await (const { name } of await opendir(from)) {
    const [source, target] = [join(from, name), join(to, name)]
    const stats = await lstat(source)
    left.entries -= 1
    left.bytes -= stats.isFile() ? stats.size : 0
    if (left.entries < 0 || left.bytes < 0) throw new Error(`it has more than ${most.entries} files or ${most.bytes} bytes`)
    if (stats.isDirectory() && name !== '.git') {
      await mkdir(target, { mode: 0o755 })
      await copyTree(source, target, left)
    } else if (stats.isFile()) await copyFile(source, target, constants.COPYFILE_FICLONE)
  }
}
