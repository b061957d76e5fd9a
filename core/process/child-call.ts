import type { Call, Caller } from '../plugin/context.ts'
import type { CommandError } from '../wire/errors.ts'

type Work = () => void | Promise<void>

export interface ChildCallParts {
  caller: Caller
  /** Stops the deadline's clock, which runs in the host. */
  suspend(number: number, maxMs: number): void
  resume(number: number): void
}

/** A command on its way, as the handler sees it; its deadline runs in the host. */
export class ChildCall {
  readonly after: Work[] = []
  readonly #parts: ChildCallParts
  #abort: AbortController | undefined
  #refusal: Error | undefined
  #suspensions = 0

  constructor(parts: ChildCallParts) {
    this.#parts = parts
  }

  /** Nobody waits for it any more. */
  end(refusal: CommandError): void {
    this.#refusal = refusal
    this.#abort?.abort(refusal)
  }

  setRoles(roles: readonly string[]): void {
    this.#parts.caller = { ...this.#parts.caller, roles }
  }

  get isOver(): boolean {
    return this.#refusal !== undefined
  }

  /** Its methods can be taken off. */
  readonly view: Call = Object.defineProperties({} as Call, {
    caller: { get: () => this.#parts.caller },
    signal: { get: () => this.#signal() },
    afterAck: { value: (work: Work) => void this.after.push(work) },
    suspendDeadline: { value: (maxMs: number) => this.#suspend(maxMs) },
  })

  /** Made when asked for, as in the host. */
  #signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#refusal) this.#abort.abort(this.#refusal)
    return this.#abort.signal
  }

  #suspend(maxMs: number): () => void {
    const number = ++this.#suspensions
    this.#parts.suspend(number, maxMs)
    return () => this.#parts.resume(number)
  }
}
