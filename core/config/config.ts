import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import type { FSWatcher } from 'chokidar'
import { writeWhole } from '../write-whole.ts'
import { edit } from './edit.ts'
import { ConfigError, type Environment, type Problem } from './problem.ts'
import { readText } from './read.ts'
import { type Judge, type Judgement, loadJudge } from './rules.ts'
import type { AccessConfig, ConfigFiles, FileName, HostConfig } from './types.ts'

type Change = FileName | 'problems'

const names: readonly FileName[] = ['host', 'access', 'plugins']
const debounceMs = 50

/**
 * The three configuration files: read, judged, watched and written back. A missing file means its defaults. What is in
 * force is always valid: when a file stops being valid that is a problem to tell, and its last good content stays.
 */
export class Config {
  /** Where the files are; it may be missing. */
  readonly dir: string
  readonly #judge: Judge
  readonly #values: { -readonly [N in FileName]: ConfigFiles[N] }
  readonly #problems = new Map<string, readonly Problem[]>()
  readonly #listeners = new Set<(change: Change) => void>()
  readonly #touched = new Set<FileName>()
  /** Reads and writes come one after the other, so that no older content overtakes a newer one. */
  #queue: Promise<unknown> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #watcher: FSWatcher | undefined

  private constructor(dir: string, judge: Judge, values: ConfigFiles) {
    this.dir = dir
    this.#judge = judge
    this.#values = { ...values }
  }

  /** Reads the files. Rejects with a ConfigError that tells the problems of all of them and of the environment. */
  static async open({ configDir, env }: { configDir: string; env: Environment }): Promise<Config> {
    const dir = resolve(configDir)
    const judge = await loadJudge(env)
    const loaded = await Promise.all([load(judge, dir, 'host'), load(judge, dir, 'access'), load(judge, dir, 'plugins')])
    const [{ value: host }, { value: access }, { value: plugins }] = loaded
    if (host && access && plugins) return new Config(dir, judge, { host, access, plugins })
    throw new ConfigError(
      lines(
        loaded.flatMap(({ problems }) => problems),
        dir,
      ),
    )
  }

  get host(): HostConfig {
    return this.#values.host
  }

  get access(): AccessConfig {
    return this.#values.access
  }

  get plugins(): ConfigFiles['plugins'] {
    return this.#values.plugins
  }

  /** What is wrong on disk now and therefore not in force. */
  get problems(): readonly Problem[] {
    return [...this.#problems.values()].flat()
  }

  /** Calls back after a file's content in force, or the list of problems, became another. Returns what ends that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Applies what changes on disk, and what did since `open`. The files and their directory may be missing yet. */
  async watch(): Promise<void> {
    const { watch } = await import('chokidar')
    let from = dirname(this.dir)
    while (!existsSync(from)) from = dirname(from)
    const ignored = (path: string) => !names.some((name) => `${join(this.dir, name)}.json/`.startsWith(join(path, '/')))
    const watcher = watch(from, { ignored })
    this.#watcher = watcher
    watcher.on('all', (_event, path) => this.#touch(...names.filter((name) => join(this.dir, `${name}.json`) === path)))
    watcher.on('error', (error) => {
      const message = `changes are not noticed before a restart: ${String(error)}`
      this.#setProblems('watch', [{ file: basename(this.dir), line: 1, column: 1, message }])
    })
    await new Promise<void>((resolve) => watcher.once('ready', resolve))
    this.#touch(...names)
  }

  /**
   * Sets one value (`undefined` removes it), keeping comments and order. Resolves when it is on disk and in force.
   * Rejects with a ConfigError, and leaves the file alone, if that is not valid now or would not be.
   */
  update(name: FileName, path: readonly string[], value: unknown): Promise<void> {
    return this.#enqueue(async () => {
      const before = await load(this.#judge, this.dir, name)
      if (!before.value) throw new ConfigError(`${name}.json is not valid and was left alone\n${lines(before.problems)}`)
      const text = edit(before.text ?? this.#newText(name, path), path, value)
      const after = this.#judge(name, text)
      if (!after.value) throw new ConfigError(`${name}.json would not be valid and was left alone\n${lines(after.problems)}`)
      if (text !== before.text) await this.#write(name, text, before.text === undefined ? { mode: 0o600 } : {})
      this.#accept(name, after)
    })
  }

  /** Stops watching; what is being written is finished first. */
  async close(): Promise<void> {
    await this.#watcher?.close()
    clearTimeout(this.#timer)
    await this.#queue
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work)
    this.#queue = Promise.allSettled([done])
    return done
  }

  /** Reads these files again when nothing has happened to any for a moment. */
  #touch(...touched: FileName[]): void {
    for (const name of touched) this.#touched.add(name)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      for (const name of this.#touched)
        void this.#enqueue(async () => this.#accept(name, await load(this.#judge, this.dir, name)))
      this.#touched.clear()
    }, debounceMs)
  }

  #accept<N extends FileName>(name: N, { value, problems }: Judgement<N>): void {
    this.#setProblems(name, problems)
    if (!value || isDeepStrictEqual(value, this.#values[name])) return
    this.#values[name] = value
    this.#tell(name)
  }

  #setProblems(source: string, problems: readonly Problem[]): void {
    if (isDeepStrictEqual(problems, this.#problems.get(source) ?? [])) return
    this.#problems.set(source, problems)
    this.#tell('problems')
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change)
  }

  async #write(name: FileName, text: string, options: { mode?: number }): Promise<void> {
    try {
      await mkdir(this.dir, { recursive: true, mode: 0o700 })
      await writeWhole(join(this.dir, `${name}.json`), text, options)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new ConfigError(`${name}.json cannot be written (${code ?? message}).`)
    }
  }

  /** A file that is not there yet, with a place for the value. */
  #newText(name: FileName, [section = '']: readonly string[]): string {
    const schema = fileURLToPath(new URL(`config/schemas/${name}.schema.json`, import.meta.resolve('patchbay/package.json')))
    return `${JSON.stringify({ $schema: relative(this.dir, schema), [section]: {} }, null, 2)}\n`
  }
}

/** A missing file is an empty one, without a text. */
async function load<N extends FileName>(judge: Judge, dir: string, name: N): Promise<Judgement<N> & { readonly text?: string }> {
  const { text, fault } = await readText(join(dir, `${name}.json`))
  if (fault) return { problems: [{ file: `${name}.json`, line: 1, column: 1, message: fault }] }
  return { ...judge(name, text ?? '{}'), ...(text !== undefined && { text }) }
}

function lines(problems: readonly Problem[], dir = ''): string {
  return problems
    .map(({ file, line, column, message }) => `${line > 0 ? `${join(dir, file)}:${line}:${column}` : file}: ${message}`)
    .join('\n')
}
