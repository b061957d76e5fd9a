import { type Entry, lineOf, type Numbered } from './entry.ts'
import { LineFile, type LineFileOptions, pathsOf } from './line-file.ts'
import { recent } from './read-back.ts'

export interface TrailOptions extends LineFileOptions {
  /** Once when writing begins to fail, with a sentence. */
  readonly onTrouble: (sentence: string) => void
  /** Once when it works again. `lost` entries are not in the file. */
  readonly onMended: (lost: number) => void
}

const mostWaiting = 1024 * 1024
const mostAtOnce = 64 * 1024
const retryMs = 5000

/**
 * Entries numbered and on their way into the file, in order. While the disk refuses, up to 1 MiB of them waits and is tried again;
 * what does not fit is counted, and an entry of the kind `lost` says so later.
 */
export class Trail {
  readonly #options: TrailOptions
  readonly #file: LineFile
  #next = 1
  #waiting: string[] = []
  #bytes = 0
  #lost = 0
  #isTroubled = false
  #isClosed = false
  #writing: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined

  private constructor(options: TrailOptions) {
    this.#options = options
    this.#file = new LineFile(options)
  }

  /** Rejects with a sentence if the file is not to be trusted. Numbers go on from the last line. */
  static async open(options: TrailOptions): Promise<Trail> {
    const trail = new Trail(options)
    await trail.#file.open()
    const [last] = await trail.recent(1)
    trail.#next = (last?.n ?? 0) + 1
    return trail
  }

  /** Returns the entries with their numbers; they are written soon. */
  write(entries: readonly Entry[]): Numbered[] {
    if (this.#isClosed) return []
    const numbered = entries.map((entry): Numbered => ({ n: this.#next++, ...entry }))
    for (const entry of numbered) this.#queue(entry)
    if (!this.#retry) void this.flush()
    return numbered
  }

  recent(limit: number, before?: number): Promise<Numbered[]> {
    return recent(pathsOf(this.#options), limit, before)
  }

  /** Resolves when all is written, or writing has failed. */
  flush(): Promise<void> {
    this.#writing ??= this.#drain().finally(() => {
      this.#writing = undefined
      if (this.#waiting.length > 0 && !this.#retry && !this.#isClosed) void this.flush()
    })
    return this.#writing
  }

  /** Writes what waits, once more if need be. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.flush()
    if (this.#waiting.length > 0) await this.flush()
    clearTimeout(this.#retry)
    await this.#file.close()
  }

  #queue(entry: Numbered): void {
    const line = lineOf(entry)
    if (this.#bytes + line.length > mostWaiting) {
      this.#lost += 1
      return
    }
    this.#bytes += line.length
    this.#waiting.push(line)
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#retry)
    this.#retry = undefined
    while (this.#waiting.length > 0) {
      const text = this.#portion()
      try {
        await this.#file.append(text)
      } catch (error) {
        this.#waiting.unshift(text)
        this.#fail(error as NodeJS.ErrnoException)
        return
      }
      this.#bytes -= text.length
      if (this.#isTroubled && this.#waiting.length === 0) this.#mend()
    }
  }

  /** Takes some lines: what is written at once is there as a whole or not at all, and should fit where there is little room. */
  #portion(): string {
    let [count, length] = [0, 0]
    do length += this.#waiting[count++]?.length ?? 0
    while (count < this.#waiting.length && length < mostAtOnce)
    return this.#waiting.splice(0, count).join('')
  }

  #fail({ code, message }: NodeJS.ErrnoException): void {
    if (!this.#isClosed) this.#retry = setTimeout(() => void this.flush(), retryMs).unref()
    if (this.#isTroubled) return
    this.#isTroubled = true
    this.#options.onTrouble(code === 'ENOSPC' ? 'the disk is full' : (code ?? message))
  }

  #mend(): void {
    const lost = this.#lost
    this.#isTroubled = false
    this.#lost = 0
    if (lost > 0) this.#queue({ n: this.#next++, time: new Date().toISOString(), kind: 'lost', count: lost })
    this.#options.onMended(lost)
  }
}
