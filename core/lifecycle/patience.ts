const mostFailures = 5
const withinMs = 5 * 60_000
const pausesToWait = 5

/** When a plugin that failed is tried again: after pauses that double, and after five failures in five minutes not by itself. */
export class Patience {
  readonly #firstPauseMs: number
  readonly #retry: () => void
  #failures: number[] = []
  #timer: NodeJS.Timeout | undefined

  readonly #again = () => {
    this.#timer = undefined
    this.#retry()
  }

  constructor(firstPauseMs: number, retry: () => void) {
    this.#firstPauseMs = firstPauseMs
    this.#retry = retry
  }

  /** Whether it may be started now. */
  get mayTry(): boolean {
    return !this.#timer && this.#failures.length < mostFailures
  }

  /** Counts a failure. False if it was one too many; else it will be tried again. */
  bear(): boolean {
    const now = Date.now()
    this.#failures = [...this.#failures.filter((at) => at > now - withinMs), now]
    if (this.#failures.length >= mostFailures) return false
    this.#timer = setTimeout(this.#again, this.#firstPauseMs * 2 ** (this.#failures.length - 1)).unref()
    return true
  }

  /** It will be tried again, and that does not count: what it needs was not there. */
  wait(): void {
    this.#timer = setTimeout(this.#again, this.#firstPauseMs * pausesToWait).unref()
  }

  /** Past failures count no longer: the next start is tried at once. */
  forgive(): void {
    this.#failures = []
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
