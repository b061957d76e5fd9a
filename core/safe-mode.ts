import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isObject } from './lifecycle/checks.ts'
import { readJson } from './lifecycle/read-package.ts'
import type { Log } from './plugin/context.ts'
import { writeWhole } from './write-whole.ts'

const file = 'starts.json'
const mostDeaths = 2

/** What is kept from one start to the next: on which boot of the machine it was, how many in a row died young, whether it may yet. */
interface Starts {
  readonly boot: string
  readonly deaths: number
  readonly isYoung: boolean
}

export interface SafeModeOptions {
  readonly dataDir: string
  /** How the command line is called. */
  readonly commandName: string
  readonly log: Log
  /** Milliseconds after which a start has gone well. */
  readonly youthMs?: number
}

/**
 * Keeps the plugins of third parties off if the host died twice within a minute of starting. That ends with the start after one that
 * lasted a minute, and with a boot of the machine: a host whose machine lost its power did not die. Whatever is wrong with its record is
 * logged, and keeps nothing from starting.
 */
export class SafeMode {
  readonly #options: SafeModeOptions
  readonly #released = new Set<string>()
  #starts: Starts = { boot: '', deaths: 0, isYoung: false }
  #deaths = 0
  #grown: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: SafeModeOptions) {
    this.#options = options
  }

  /** For people; undefined in ordinary times. */
  get sentence(): string | undefined {
    if (this.#deaths < mostDeaths) return undefined
    return `Safe mode: Patchbay died ${this.#deaths} times within a minute of starting, so only what comes with it runs.`
  }

  /** Before anything that may end this process. */
  async begin(): Promise<void> {
    const { log, youthMs = 60_000 } = this.#options
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()
    const last = await this.#read()
    if (last?.boot === boot) this.#deaths = last.deaths + (last.isYoung ? 1 : 0)
    if (this.sentence) log.warn({}, this.sentence)
    await this.#write({ boot, deaths: this.#deaths, isYoung: true })
    this.#grown = setTimeout(() => void this.#write({ boot, deaths: 0, isYoung: false }), youthMs).unref()
  }

  /** The host ends in good order, which is no death. */
  async end(): Promise<void> {
    clearTimeout(this.#grown)
    await this.#write({ ...this.#starts, isYoung: false })
  }

  /** Why a third party's plugin stays off, if it does. */
  heldBack(id: string): string | undefined {
    if (!this.sentence || this.#released.has(id)) return undefined
    const mend = `To start this one now: ${this.#options.commandName} plugins restart ${id}.`
    return `${this.sentence} When it has run for a minute, its next start is an ordinary one. ${mend}`
  }

  /** An owner wants this one all the same. True if it was held back. */
  release(id: string): boolean {
    const wasHeldBack = this.heldBack(id) !== undefined
    this.#released.add(id)
    return wasHeldBack
  }

  async #read(): Promise<Starts | undefined> {
    try {
      const starts = await readJson(this.#options.dataDir, file, 1)
      if (starts === undefined) return undefined
      if (isObject(starts) && typeof starts.boot === 'string' && Number.isSafeInteger(starts.deaths)) return starts as never
      throw new Error('it is not what Patchbay wrote')
    } catch (error) {
      this.#options.log.warn({ err: error }, `${file} cannot be read; earlier starts are forgotten`)
      return undefined
    }
  }

  /** One after the other: the last is what stays. */
  #write(starts: Starts): Promise<void> {
    this.#starts = starts
    const { dataDir, log } = this.#options
    const write = () => writeWhole(join(dataDir, file), `${JSON.stringify(starts)}\n`, { mode: 0o600 })
    const fail = (error: unknown) =>
      log.warn({ err: error }, `${file} cannot be written; whether this start goes well will not be known`)
    this.#writing = this.#writing.then(write).catch(fail)
    return this.#writing
  }
}
