import { AsyncLocalStorage } from 'node:async_hooks'
import type { Caller, Call as CallView } from '../plugin/context.ts'
import type { Client } from './client.ts'
import { type CommandError, refuse } from './errors.ts'
import type { Command } from './module.ts'

type Work = () => void | Promise<void>

/** One command on its way, with its deadline. */
export class Call {
  readonly command: Command
  readonly client: Client
  /** Run once the ack has been sent. */
  readonly after: Work[] = []
  #abort: AbortController | undefined
  #refusal: CommandError | undefined
  #refuse: ((refusal: CommandError) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #msLeft: number
  #armedAt = 0
  #pauses = 0

  constructor(command: Command, client: Client) {
    this.command = command
    this.client = client
    this.#msLeft = command.timeoutMs
  }

  /** Made when asked for: most handlers are done before anybody could abort them. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#refusal) this.#abort.abort(this.#refusal)
    return this.#abort.signal
  }

  /** The answer, or TIMEOUT, or what `end` is called with, whichever comes first. */
  settle(answer: Promise<unknown>, onSettled: () => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const first =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          if (!this.#refuse) return
          this.#refuse = undefined
          clearTimeout(this.#timer)
          onSettled()
          settle(value)
        }
      this.#refuse = first(reject)
      this.#arm()
      answer.then(first(resolve), this.#refuse)
    })
  }

  /** Answers now, and aborts the handler's signal. */
  end(refusal: CommandError): void {
    this.#refusal = refusal
    this.#refuse?.(refusal)
    this.#abort?.abort(refusal)
  }

  /** Stops the deadline's clock; with the function returned, or after `maxMs`, it runs on. */
  suspend(maxMs: number): () => void {
    if (this.#pauses++ === 0 && this.#timer) {
      clearTimeout(this.#timer)
      this.#msLeft -= performance.now() - this.#armedAt
    }
    let isOver = false
    const resume = () => {
      clearTimeout(timer)
      if (isOver) return
      isOver = true
      if (--this.#pauses === 0) this.#arm()
    }
    const timer = setTimeout(resume, maxMs).unref()
    return resume
  }

  #arm(): void {
    if (!this.#refuse || this.#pauses > 0) return
    this.#armedAt = performance.now()
    this.#timer = setTimeout(() => this.end(refuse('TIMEOUT')), this.#msLeft)
  }
}

/** What a handler sees of it: methods that can be taken off, and no way to the socket. */
export class View implements CallView {
  readonly #call: Call

  constructor(call: Call) {
    this.#call = call
  }

  get caller(): Caller {
    return this.#call.client.caller
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }

  get afterAck() {
    // Done on the host's side, it is still the plugin's: exceptions that nobody catches are traced by this.
    return (work: Work) => void this.#call.after.push(AsyncLocalStorage.bind(work))
  }

  get suspendDeadline() {
    return (maxMs: number) => this.#call.suspend(maxMs)
  }
}

/** The unanswered commands, by user: limits hold over all of a user's sockets. */
export class Calls {
  readonly #byUser = new Map<string, Set<Call>>()

  /** Throws RATE_LIMITED if a user has too many, of this kind or in all. */
  checkRoom({ userId }: Caller, command: Command, maxInAll: number): void {
    const calls = this.#byUser.get(userId)
    if (!calls) return
    let ofCommand = 0
    for (const call of calls) if (call.command === command) ofCommand++
    if (ofCommand < command.inFlight && calls.size < maxInAll) return
    throw refuse('RATE_LIMITED', 'Too many unanswered commands.', 1)
  }

  /** Keeps the call until it is answered. */
  track(call: Call, answer: Promise<unknown>): Promise<unknown> {
    const { userId } = call.client.caller
    const calls = this.#byUser.get(userId) ?? new Set()
    this.#byUser.set(userId, calls.add(call))
    return call.settle(answer, () => {
      calls.delete(call)
      if (calls.size === 0) this.#byUser.delete(userId)
    })
  }

  /** How many match. */
  count(matches: (call: Call) => boolean): number {
    let count = 0
    for (const calls of this.#byUser.values()) for (const call of calls) if (matches(call)) count++
    return count
  }

  /** Ends the calls that match: their client left, or their module stops. */
  end(matches: (call: Call) => boolean, refusal: CommandError): void {
    for (const calls of [...this.#byUser.values()]) for (const call of [...calls]) if (matches(call)) call.end(refusal)
  }
}
