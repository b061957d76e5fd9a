import { writeWhole } from '../write-whole.ts'

const retryMs = { first: 1000, longest: 60_000 }

/**
 * Keeps a file (0600) up to date with something in memory. Wishes to save are gathered, one write runs at a time, the file is
 * at every moment the old or the new one. What cannot be written is reported once, tried again, and reported when mended.
 * Its timer never keeps the process alive, and there is none when nothing waits to be written.
 */
export class Saver {
  readonly #parts: { file: string; content(): string; onProblem(message: string): void }
  #timer: NodeJS.Timeout | undefined
  /** In how many milliseconds the next write was asked for; Infinity when everything is written or being written. */
  #dueMs = Number.POSITIVE_INFINITY
  #writing: Promise<void> | undefined
  /** 0 while all is well. */
  #retryMs = 0
  #isClosed = false

  constructor(parts: { file: string; content(): string; onProblem(message: string): void }) {
    this.#parts = parts
  }

  /** Sees to it that what is in memory now is written within this time; sooner if something else asked for that. */
  save(withinMs: number): void {
    const isRetryDue = this.#retryMs > 0 && this.#dueMs < Number.POSITIVE_INFINITY
    if (withinMs >= this.#dueMs || isRetryDue) return
    this.#dueMs = withinMs
    this.#arm()
  }

  /** Writes at once what is not yet written, and waits for it. Does not throw: a failure is reported and tried again. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing
    if (this.#dueMs === Number.POSITIVE_INFINITY) return
    this.#dueMs = Number.POSITIVE_INFINITY
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined
      this.#arm()
    })
    await this.#writing
  }

  /** Writes what is left. Afterwards only `flush` writes. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.flush()
  }

  #arm(): void {
    clearTimeout(this.#timer)
    if (this.#isClosed || this.#writing || this.#dueMs === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => void this.flush(), this.#dueMs).unref()
  }

  async #write(): Promise<void> {
    const { file, content, onProblem } = this.#parts
    try {
      await writeWhole(file, content(), { mode: 0o600 })
      if (this.#retryMs > 0) onProblem(`${file} can be written again; everything is saved.`)
      this.#retryMs = 0
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (this.#retryMs === 0) onProblem(`${file} cannot be written (${code ?? message}). It is kept in memory and tried again.`)
      this.#retryMs = Math.min(this.#retryMs * 2 || retryMs.first, retryMs.longest)
      this.#dueMs = this.#retryMs
    }
  }
}
