import type { Target } from '../plugin/context.ts'
import type { Event, Group, Module } from '../wire/module.ts'
import type { Message, SendOptions } from './channel.ts'
import type { Outlet } from './run.ts'

export interface ChildOutletParts {
  send(message: Message, options?: SendOptions): void
  /** Takes back what waits under this key. */
  unsend(key: string): void
}

/** What a run in a plugin's own process says: to the host's process. */
export class ChildOutlet implements Outlet {
  readonly #parts: ChildOutletParts
  readonly #providers = new Map<string, () => unknown>()
  /** Whether an event that nobody keeps has anybody to reach. Until it is known, it has. */
  isHeard = true

  constructor(parts: ChildOutletParts) {
    this.#parts = parts
  }

  publish(_module: Module, { namespace }: Group, name: string, { definition }: Event, payload: unknown, target?: Target): void {
    const { retained = false, to = 'subscribers' } = definition
    if (to === 'subscribers' && !retained && !this.isHeard) return
    const message: Message = ['publish', namespace, name, target ?? null, ...(payload === undefined ? [] : [payload])]
    this.#parts.send(message, retained ? { key: `${namespace} ${name}` } : { isOptional: true })
  }

  publishError(_module: Module, error: object, target?: Target): void {
    this.#parts.send(['error', error, target ?? null], { isOptional: true })
  }

  forget({ groups }: Module, events: Iterable<string>): void {
    const names = [...events]
    for (const { namespace } of groups.values()) for (const name of names) this.#parts.unsend(`${namespace} ${name}`)
    this.#parts.send(['forget', names])
  }

  provide(_module: Module, event: string, value: () => unknown): void {
    this.#providers.set(event, value)
    this.#parts.send(['provide', event])
  }

  /** The value of an event that is made when asked for. */
  provided(event: string): unknown {
    return this.#providers.get(event)?.()
  }

  /** The host has the values. */
  sendSnapshots(): void {}
}
