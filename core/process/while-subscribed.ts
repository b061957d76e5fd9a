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
  #turning: Promise<void> | undefined

  /** `onEnd` runs after every end, when nothing of the work can publish any more. */
  constructor(work: Work, onError: (error: unknown) => void, onEnd: () => void) {
    this.#work = work
    this.#onError = onError
    this.#onEnd = onEnd
  }

  start(): void {
    this.#wanted = true
    this.#turning ??= this.#turn()
  }

  /** Resolves when the work has ended. */
  stop(): Promise<void> {
    this.#wanted = false
    if (this.#scope) void this.#scope.end()
    this.#turning ??= this.#turn()
    return this.#turning
  }

  async #turn(): Promise<void> {
    while (this.#wanted !== (this.#scope !== undefined && !this.#scope.signal.aborted)) {
      if (this.#scope) await this.#finish(this.#scope)
      else await this.#begin()
    }
    this.#turning = undefined
  }

  async #begin(): Promise<void> {
    const scope = new Scope(this.#onError)
    this.#scope = scope
    try {
      const release = await this.#work(scope)
      if (release) scope.own(release)
    } catch (error) {
      if (!scope.signal.aborted) this.#onError(error)
      // Tried again when the next subscriber comes.
      this.#wanted = false
      await this.#finish(scope)
    }
  }

  async #finish(scope: Scope): Promise<void> {
    await scope.end()
    this.#scope = undefined
    this.#onEnd()
  }
}
