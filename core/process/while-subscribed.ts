import type { Release } from '../plugin/context.ts'
import { Scope } from './scope.ts'

type Work = (scope: Scope) => Release | void | Promise<Release | void>

/** Work that runs while somebody is subscribed. Starts and ends never overlap, however quickly people come and go. */
export class WhileSubscribed {
  readonly #work: Work
  readonly #onError: (error: unknown) => void
  readonly #onEnd: () => void
  #wanted = false
  #scope: Scope | undefined
  #queue: Promise<void> = Promise.resolve()

  /** `onEnd` runs after every end, when nothing of the work can publish any more. */
  constructor(work: Work, onError: (error: unknown) => void, onEnd: () => void) {
    this.#work = work
    this.#onError = onError
    this.#onEnd = onEnd
  }

  /** Runs the work, unless it runs already. */
  start(): void {
    this.#wanted = true
    void this.#turn()
  }

  /** Resolves when the work has ended. */
  stop(): Promise<void> {
    this.#wanted = false
    this.#scope?.abort()
    return this.#turn()
  }

  #turn(): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      if (this.#scope?.signal.aborted) await this.#end(this.#scope)
      if (this.#wanted && !this.#scope) await this.#begin()
    })
    return this.#queue
  }

  async #begin(): Promise<void> {
    const scope = new Scope(this.#onError)
    this.#scope = scope
    try {
      const release = await this.#work(scope)
      if (release) scope.own(release)
    } catch (error) {
      // Whoever is told to stop may throw about it.
      if (scope.signal.aborted) return
      this.#onError(error)
      // Tried again when the next subscriber comes.
      this.#wanted = false
      await this.#end(scope)
    }
  }

  async #end(scope: Scope): Promise<void> {
    await scope.end()
    this.#scope = undefined
    this.#onEnd()
  }
}
