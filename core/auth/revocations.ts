import { readFile } from 'node:fs/promises'
import { writeWhole } from '../write-whole.ts'

const most = 100_000
/** Milliseconds until it is looked up again what other hosts revoked, should they not have been heard. */
const ageMs = 10_000

/** What is bad, and a time in seconds since the epoch: `jti <jti>` and when it ends anyway, `sub <subject>` and until when it was issued. */
type Revoked = Readonly<Record<string, number>>

/** What is kept for several hosts. */
export interface SharedRevocations {
  read(): Promise<Revoked>
  add(what: string, time: number): Promise<void>
}

/** The tokens of one plugin that count no more, kept in a file, and where there are several hosts also for the others. */
export class Revocations {
  readonly #file: string
  readonly #shared: SharedRevocations | undefined
  readonly #known = new Map<string, number>()
  #loaded: Promise<void> | undefined
  #loadedAt = 0
  #isRead = false
  #writing: Promise<void> = Promise.resolve()

  constructor(file: string, shared?: SharedRevocations) {
    this.#file = file
    this.#shared = shared
  }

  /** Before anything else. Rejects for a file that makes no sense: as long as it is not known what is bad, nothing is good. */
  async load(): Promise<void> {
    if (Date.now() - this.#loadedAt > ageMs) this.outdate()
    this.#loaded ??= this.#load()
    try {
      await this.#loaded
    } catch (error) {
      // It may have been mended next time.
      this.outdate()
      throw error
    }
  }

  /** What is known is not all any more. */
  outdate(): void {
    this.#loaded = undefined
  }

  has({ jti, sub, iat }: { jti?: string | undefined; sub?: string | undefined; iat?: number | undefined }): boolean {
    return (jti !== undefined && this.#known.has(`jti ${jti}`)) || (iat ?? 0) <= (this.#known.get(`sub ${sub}`) ?? -1)
  }

  /** Counts here at once. Resolves when it is on disk, and other hosts can know. */
  async add(what: string, time: number): Promise<void> {
    await this.#readOwn()
    for (const [each, until] of this.#known) if (each.startsWith('jti ') && until < Date.now() / 1000) this.#known.delete(each)
    if (this.#known.size >= most) throw new Error(`More than ${most} revocations of tokens are kept.`)
    this.#known.set(what, time)
    const write = () => writeWhole(this.#file, `${JSON.stringify(Object.fromEntries(this.#known))}\n`, { mode: 0o600 })
    this.#writing = this.#writing.then(write, write)
    await this.#writing
    await this.#shared?.add(what, time)
  }

  async #load(): Promise<void> {
    this.#loadedAt = Date.now()
    await this.#readOwn()
    const shared = await this.#shared?.read()
    if (!shared) return
    // What the others could not be told when it was revoked here.
    for (const [what, time] of this.#known) if (!((shared[what] ?? 0) >= time)) await this.#shared?.add(what, time)
    this.#learn(shared)
  }

  async #readOwn(): Promise<void> {
    if (this.#isRead) return
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return '{}'
    })
    this.#learn(JSON.parse(text) as Revoked)
    this.#isRead = true
  }

  #learn(revoked: Revoked): void {
    for (const [what, time] of Object.entries(revoked)) this.#known.set(what, Math.max(time, this.#known.get(what) ?? 0))
  }
}
