/** Runs work at once when it was not run lately, else at the end of the interval: never more often, and never too late for the last change. */
export class Throttle {
  readonly #ms: number
  readonly #work: () => void
  #timer: NodeJS.Timeout | undefined
  #isDue = false

  constructor(ms: number, work: () => void) {
    this.#ms = ms
    this.#work = work
  }

  touch(): void {
    this.#isDue = true
    if (this.#timer === undefined) this.flush()
  }

  /** Runs what is due now. */
  flush(): void {
    if (!this.#isDue) return
    this.#isDue = false
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.flush()
    }, this.#ms).unref()
    this.#work()
  }

  stop(): void {
    this.#isDue = false
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
