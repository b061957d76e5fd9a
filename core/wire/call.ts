import type { Call as CallView, Caller } from '../plugin/context.ts'
import type { Client } from './client.ts'
import { type CommandError, refuse } from './errors.ts'
import type { Command } from './module.ts'

/** One command on its way: what its handler sees, and its deadline. */
export class Call implements CallView {
  readonly command: Command
  readonly client: Client
  /** Run once the ack has been sent. */
  readonly after: Array<() => void | Promise<void>> = []
  #abort: AbortController | undefined
  #end: ((refusal: CommandError) => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #left = 0
  #armedAt = 0

  constructor(command: Command, client: Client) {
    this.command = command
    this.client = client
  }

  get caller(): Caller {
    return this.client.caller
  }

  /** Made when asked for: most handlers are done before anybody could abort them. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  afterAck(work: () => void | Promise<void>): void {
    this.after.push(work)
  }

  suspendDeadline(maxMs: number): () => void {
    if (!this.#end) return () => {}
    this.#left -= performance.now() - this.#armedAt
    const resume = () => this.#arm(this.#left)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(resume, maxMs)
    return resume
  }

  /** The answer, or TIMEOUT after `timeoutMs`, or what `end` is called with. */
  within(answer: Promise<unknown>, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#end = reject
      this.#left = timeoutMs
      this.#arm(timeoutMs)
      answer.then(resolve, reject).finally(() => {
        this.#end = undefined
        clearTimeout(this.#timer)
      })
    })
  }

  /** Answers now, and aborts the handler's signal. */
  end(refusal: CommandError): void {
    clearTimeout(this.#timer)
    this.#end?.(refusal)
    this.#end = undefined
    this.#abort?.abort(refusal)
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#end) return
    this.#armedAt = performance.now()
    this.#timer = setTimeout(() => this.end(refuse('TIMEOUT')), ms)
  }
}

/** The unanswered commands, by user: limits hold over all of a user's sockets. */
export class Calls {
  readonly #byUser = new Map<string, Set<Call>>()

  /** Unanswered commands of a user, of one kind and in all. */
  count(userId: string, command: Command): { ofCommand: number; inAll: number } {
    const calls = this.#byUser.get(userId)
    if (!calls) return { ofCommand: 0, inAll: 0 }
    let ofCommand = 0
    for (const call of calls) if (call.command === command) ofCommand++
    return { ofCommand, inAll: calls.size }
  }

  /** Keeps the call until its answer settles. */
  async track(call: Call, answer: Promise<unknown>): Promise<unknown> {
    const userId = call.caller.userId
    const calls = this.#byUser.get(userId) ?? new Set()
    this.#byUser.set(userId, calls.add(call))
    try {
      return await answer
    } finally {
      calls.delete(call)
      if (calls.size === 0) this.#byUser.delete(userId)
    }
  }

  /** Ends the calls that match: their client left, or their module stops. */
  end(matches: (call: Call) => boolean, refusal: CommandError): void {
    for (const calls of [...this.#byUser.values()]) for (const call of [...calls]) if (matches(call)) call.end(refusal)
  }
}
