import { readFile } from 'node:fs/promises'
import { writeWhole } from '../write-whole.ts'

const most = 100_000

interface Kept {
  /** Seconds since the epoch at which the token ends anyway, by its `jti`. */
  readonly tokens: Record<string, number>
  /** Seconds since the epoch: what was issued to this subject before is bad. */
  readonly subjects: Record<string, number>
}

/** The tokens of one plugin that count no more, kept in a file. */
export class Revocations {
  readonly #file: string
  readonly #tokens = new Map<string, number>()
  readonly #subjects = new Map<string, number>()
  #loaded: Promise<void> | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(file: string) {
    this.#file = file
  }

  /** Before anything else. Rejects for a file that makes no sense: as long as it is not known what is bad, nothing is good. */
  async load(): Promise<void> {
    this.#loaded ??= this.#read()
    try {
      await this.#loaded
    } catch (error) {
      // It may have been mended next time.
      this.#loaded = undefined
      throw error
    }
  }

  has({ jti, sub, iat }: { jti?: string | undefined; sub?: string | undefined; iat?: number | undefined }): boolean {
    if (jti !== undefined && this.#tokens.has(jti)) return true
    const before = this.#subjects.get(sub ?? '')
    return before !== undefined && (iat ?? 0) <= before
  }

  /** Resolves when it is on disk. */
  add(what: { readonly jti: string; readonly until: number } | { readonly subject: string }): Promise<void> {
    const now = Date.now() / 1000
    for (const [jti, until] of this.#tokens) if (until < now) this.#tokens.delete(jti)
    if (this.#tokens.size + this.#subjects.size >= most) throw new Error(`More than ${most} revocations of tokens are kept.`)
    if ('jti' in what) this.#tokens.set(what.jti, what.until)
    else this.#subjects.set(what.subject, now)
    const kept: Kept = { tokens: Object.fromEntries(this.#tokens), subjects: Object.fromEntries(this.#subjects) }
    const write = () => writeWhole(this.#file, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
    this.#writing = this.#writing.then(write, write)
    return this.#writing
  }

  async #read(): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return '{"tokens":{},"subjects":{}}'
    })
    const { tokens, subjects } = JSON.parse(text) as Kept
    for (const [jti, until] of Object.entries(tokens)) this.#tokens.set(jti, until)
    for (const [subject, before] of Object.entries(subjects)) this.#subjects.set(subject, before)
  }
}
