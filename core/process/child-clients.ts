import { type ClientOps, clientOperations } from '../wire/client-operations.ts'
import { thrown } from './hearsay.ts'

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** The capability `clients` in a plugin's own process: what is asked of the host there, and answered. */
export class ChildClients {
  readonly #send: (id: number, operation: string, args: readonly unknown[]) => void
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  constructor(send: (id: number, operation: string, args: readonly unknown[]) => void) {
    this.#send = send
  }

  readonly operations = Object.fromEntries(
    clientOperations.map((operation) => [operation, (...args: unknown[]) => this.#ask(operation, args)]),
  ) as unknown as ClientOps

  /** The host's answer. */
  told(id: number, value: unknown): void {
    this.#take(id)?.resolve(value)
  }

  refused(id: number, error: unknown): void {
    this.#take(id)?.reject(thrown(error))
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  #ask(operation: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId
      this.#waiting.set(id, { resolve, reject })
      this.#send(id, operation, args)
    })
  }
}
