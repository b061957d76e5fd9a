import { lstat, opendir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { checkTrust, isHidden } from './package-walk.ts'
import { PackageWatcher } from './package-watcher.ts'
import { absent, clip, sentenceOf } from './problem.ts'
import { type Found, readPackage } from './read-package.ts'

/** Packages that are read at a time. */
const atOnce = 8
const maxPackages = 256

export interface DiscoveryOptions {
  readonly dirs: ReadonlyArray<{ readonly path: string; readonly builtin: boolean }>
  /** Called with everything that is there, when it differs from what was last returned or told. */
  onChange(found: Found[]): void
  /** Something is wrong with a plugin directory itself. Told once for as long as it lasts. */
  onProblem(sentence: string): void
}

/** Finds the packages in the plugin directories and notices when they change. */
export class Discovery {
  readonly #options: DiscoveryOptions
  /** By absolute path whether it is built in; a directory that is named twice is, if one says so. */
  readonly #dirs: ReadonlyMap<string, boolean>
  #found: Found[] = []
  /** The directory of the package that was the first whole one with an id. It keeps it, so that a newcomer does not displace a running plugin. */
  #holders = new Map<string, string>()
  #scan: Promise<Found[]> | undefined
  readonly #watcher: PackageWatcher
  #problems = new Set<string>()

  constructor(options: DiscoveryOptions) {
    this.#options = options
    const builtinLast = [...options.dirs].sort((a, b) => Number(a.builtin) - Number(b.builtin))
    this.#dirs = new Map(builtinLast.map(({ path, builtin }) => [resolve(path), builtin]))
    this.#watcher = new PackageWatcher([...this.#dirs.keys()], () => this.#rescan())
  }

  /** Reads all packages. Of several with one id at most one has no problem. Calls while it runs get its result. */
  scan(): Promise<Found[]> {
    this.#scan ??= this.#read().finally(() => {
      this.#scan = undefined
    })
    return this.#scan
  }

  /** Watches from now on and looks once more for what changed before; resolves when that is done. */
  watch(): Promise<void> {
    return this.#watcher.start()
  }

  close(): Promise<void> {
    return this.#watcher.close()
  }

  async #rescan(): Promise<void> {
    await this.#scan // It may have begun before the change.
    const before = summary(this.#found)
    const found = await this.scan()
    if (!this.#watcher.isClosed && summary(found) !== before) this.#options.onChange(found)
  }

  async #read(): Promise<Found[]> {
    const problems = new Set(this.#watcher.problems)
    const packages: Found[] = []
    for (const [path, builtin] of this.#dirs) {
      const tell = (problem: string): void => void problems.add(`The plugin directory ${clip(path)}: ${problem}`)
      const dirs = await this.#packageDirs(path, builtin, tell)
      // A few at a time: what is built in is read before anybody can connect, and a stranger may drop in a thousand.
      for (let at = 0; at < dirs.length; at += atOnce)
        packages.push(
          ...(await Promise.all(dirs.slice(at, at + atOnce).map((dir) => readPackage(dir, { builtin })))).flatMap(toList),
        )
    }
    for (const sentence of problems) if (!this.#problems.has(sentence)) this.#options.onProblem(sentence)
    this.#problems = problems
    this.#found = this.#settleClashes(packages)
    return this.#found
  }

  async #packageDirs(path: string, builtin: boolean, tell: (problem: string) => void): Promise<string[]> {
    const dirs: string[] = []
    try {
      const stats = await lstat(path).catch(absent)
      if (!stats) return []
      checkTrust(stats, 'it', builtin)
      for await (const entry of await opendir(path))
        if (!isHidden(entry.name) && (entry.isDirectory() || entry.isSymbolicLink())) dirs.push(join(path, entry.name))
    } catch (error) {
      tell(`${sentenceOf(error)}; until then its plugins are left out`)
      return []
    }
    if (dirs.length <= maxPackages) return dirs.sort()
    tell(`it holds more than ${maxPackages} directories; what is beyond that is left out, remove some`)
    const known = new Set(this.#found.map(({ dir }) => dir))
    return dirs.sort((a, b) => Number(known.has(b)) - Number(known.has(a)) || (a < b ? -1 : 1)).slice(0, maxPackages)
  }

  /** Lets one package keep each id: what comes with Patchbay, else who had it, else the first without another problem. */
  #settleClashes(packages: Found[]): Found[] {
    const ids = new Map(this.#found.map(({ dir, id }) => [dir, id]))
    // What cannot be read just now is still the plugin that it was.
    const all = packages.map((found) =>
      found.id === basename(found.dir) && found.problem ? { ...found, id: ids.get(found.dir) ?? found.id } : found,
    )
    const rank = ({ builtin, id, dir, problem }: Found): number =>
      (builtin ? 0 : 4) + (this.#holders.get(id) === dir ? 0 : problem === undefined ? 1 : 2)
    const holders = new Map<string, Found>()
    for (const found of all) {
      const other = holders.get(found.id)
      if (!other || rank(found) < rank(other)) holders.set(found.id, found)
    }
    const worthy = [...holders].filter(([id, { dir, problem }]) => problem === undefined || this.#holders.get(id) === dir)
    this.#holders = new Map(worthy.map(([id, { dir }]) => [id, dir]))
    return all.map((found) => {
      const { dir, builtin } = holders.get(found.id) ?? found
      if (dir === found.dir || found.problem) return found
      const origin = builtin ? ', which comes with Patchbay' : ''
      return { ...found, problem: `the id ${found.id} belongs to ${clip(dir)}${origin}; remove one of the two or change its id` }
    })
  }
}

const toList = (found: Found | undefined): Found[] => (found ? [found] : [])
const summary = (found: readonly Found[]): string => JSON.stringify(found.map(({ contract, ...rest }) => rest))
