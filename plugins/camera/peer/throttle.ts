/** Runs work at once when it was not run lately, else at the end of the interval: never more often, and never too late for the last change. */
export class Throttle {
  readonly #ms: number
  readonly #work: () => void
  #timer: NodeJS.Timeout | undefined
  #isDue = false
  #isStopped = false

  constructor(ms: number, work: () => void) {
    this.#ms = ms
    this.#work = work
  }

  touch(): void {
    this.#isDue = true
    if (this.#timer === undefined) this.#run()
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #run(): void {
    if (!this.#isDue || this.#isStopped) return
    this.#isDue = false
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#run()
    }, this.#ms)
    this.#work()
  }
}
