/** Something that costs while it goes on. */
interface Ongoing {
  close(): void
}

/** What goes on only while somebody keeps asking for what it finds: begun when asked for, ended after a time of silence. */
export class WhileAsked<T extends Ongoing> {
  readonly #quietMs: number
  readonly #begin: () => T
  #ongoing: T | undefined
  #silence: NodeJS.Timeout | undefined
  #isClosed = false

  /** `quietMs`: milliseconds without `ask` until it ends. */
  constructor(quietMs: number, begin: () => T) {
    this.#quietMs = quietMs
    this.#begin = begin
  }

  /** What goes on, begun anew if it had ended. Throws after `close`. */
  ask(): T {
    if (this.#isClosed) throw new Error('asked after its end')
    this.#ongoing ??= this.#begin()
    this.#silence ??= setTimeout(() => this.#end(), this.#quietMs).unref()
    this.#silence.refresh()
    return this.#ongoing
  }

  close(): void {
    this.#isClosed = true
    this.#end()
  }

  #end(): void {
    clearTimeout(this.#silence)
    this.#silence = undefined
    this.#ongoing?.close()
    this.#ongoing = undefined
  }
}
