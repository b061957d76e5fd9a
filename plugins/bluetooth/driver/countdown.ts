/** A deadline that can stand still. */
export class Countdown {
  readonly #onEnd: () => void
  #msLeft: number
  #startedAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number, onEnd: () => void) {
    this.#msLeft = ms
    this.#onEnd = onEnd
    this.run()
  }

  run(): void {
    this.pause()
    this.#startedAt = performance.now()
    this.#timer = setTimeout(this.#onEnd, this.#msLeft)
  }

  pause(): void {
    if (!this.#timer) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#msLeft = Math.max(0, this.#msLeft - (performance.now() - this.#startedAt))
  }
}
