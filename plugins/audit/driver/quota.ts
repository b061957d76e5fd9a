export interface QuotaRule {
  /** Lines of one source in a window. */
  readonly lines: number
  readonly windowMs: number
  /** Lines of all sources together in a day. */
  readonly perDay: number
}

/** What was not written: how often each source, most frequent first; those beyond the first 20 together. */
export interface LeftOut {
  readonly sources: ReadonlyArray<readonly [source: string, count: number]>
  readonly others: { readonly sources: number; readonly count: number }
}

const dayMs = 24 * 60 * 60 * 1000
const mostSources = 1000
const mostTold = 20

/**
 * How many lines one source (an address, a user) may cause, so that nobody fills the disk or drives the lines of others out of the files.
 * What is beyond that is counted, and told at the end of the window. Its timer runs only while something is counted.
 */
export class Quota {
  readonly #rule: QuotaRule
  readonly #tell: (leftOut: LeftOut) => void
  /** Lines of each source in this window. */
  #used = new Map<string, number>()
  #leftOut = new Map<string, number>()
  #windowEnd = 0
  #dayEnd = 0
  #dayLines = 0
  #timer: NodeJS.Timeout | undefined

  constructor(rule: QuotaRule, tell: (leftOut: LeftOut) => void) {
    this.#rule = rule
    this.#tell = tell
  }

  /** Whether a line of this source that stands for `count` happenings is written. */
  admits(source: string, count = 1): boolean {
    this.#turn(performance.now())
    const used = this.#used.get(source) ?? 0
    const isKnown = used > 0 || this.#used.size < mostSources
    if (isKnown && used < this.#rule.lines && this.#dayLines < this.#rule.perDay) {
      this.#used.set(source, used + 1)
      this.#dayLines += 1
      return true
    }
    const known = this.#leftOut.has(source) || this.#leftOut.size < mostSources ? source : ''
    this.#leftOut.set(known, (this.#leftOut.get(known) ?? 0) + count)
    this.#timer ??= setTimeout(() => this.flush(), this.#windowEnd - performance.now()).unref()
    return false
  }

  /** Tells now what was left out. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#leftOut.size === 0) return
    const told = [...this.#leftOut].sort(([, a], [, b]) => b - a)
    this.#leftOut = new Map()
    const named = told.splice(0, Math.min(mostTold, Math.max(0, this.#rule.perDay - this.#dayLines)))
    this.#dayLines += named.length
    this.#tell({ sources: named, others: { sources: told.length, count: told.reduce((sum, [, count]) => sum + count, 0) } })
  }

  #turn(now: number): void {
    if (now >= this.#windowEnd) {
      this.flush()
      this.#used = new Map()
      this.#windowEnd = now + this.#rule.windowMs
    }
    if (now >= this.#dayEnd) {
      this.#dayLines = 0
      this.#dayEnd = now + dayMs
    }
  }
}
