import type { Clients, ConnectedClient } from '../plugin/capabilities.ts'
import type { Log } from '../plugin/context.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import { coreErrors } from '../wire/errors.ts'
import type { Module } from '../wire/module.ts'

export interface RunClientsParts {
  /** What the host does. */
  readonly clients: ClientOps
  readonly module: Module
  readonly log: Log
  /** Checks what clients are asked against the contract. */
  readonly development: boolean
}

/** The capability `clients` as a run has it: beside what the host does, its listeners, and what is judged where the plugin's schemas are. */
export class RunClients {
  readonly capability: Clients
  readonly #parts: RunClientsParts
  readonly #listeners = new Set<(client: ConnectedClient) => void | Promise<void>>()
  readonly #peers = new Set<(value: unknown) => void>()

  constructor(parts: RunClientsParts) {
    this.#parts = parts
    this.capability = {
      ...parts.clients,
      ask: async (clientId, event, payload, timeoutMs) => {
        this.#check(event, payload)
        return parts.clients.ask(clientId, event, payload, timeoutMs)
      },
      onConnect: (listener) => {
        const own = (client: ConnectedClient) => listener(client)
        this.#listeners.add(own)
        return () => void this.#listeners.delete(own)
      },
      onPeer: (listener) => {
        const own = (value: unknown) => listener(value)
        this.#peers.add(own)
        return () => void this.#peers.delete(own)
      },
    }
  }

  /** The same plugin said something on another host. */
  hear(value: unknown): void {
    for (const listener of this.#peers) listener(value)
  }

  /** Closes a client that sends what the contract does not say, or that the plugin cannot take in. */
  async receive(client: ConnectedClient): Promise<void> {
    const { clients, module, log } = this.#parts
    const problem = module.handshake?.(client.auth)
    try {
      if (problem) await clients.dismiss(client.clientId, 'INVALID_PAYLOAD', `What it sends in its handshake: ${problem}.`)
      else await Promise.all([...this.#listeners].map(async (listener) => listener(client)))
    } catch (error) {
      log.error({ err: error }, 'a client could not be taken in')
      await clients.dismiss(client.clientId, 'INTERNAL', coreErrors.INTERNAL)
    }
  }

  #check(name: string, payload: unknown): void {
    const { module, development } = this.#parts
    const events = [...module.groups.values()].flatMap((group) => group.events.get(name) ?? [])
    const event = events.find(({ definition }) => definition.to === 'addressed')
    if (!event) throw new Error(`The contract of ${module.id} has no addressed event "${name}".`)
    const problem = development ? event.check(payload) : undefined
    if (problem) throw new Error(`"${name}" does not fit its contract: ${problem}`)
  }
}
