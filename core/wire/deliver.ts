import type { Namespace } from 'socket.io'
import type { Client } from './client.ts'

/** Packets a client may leave unread before retained values are held back for it. */
const quickBacklog = 16
const maxBacklogBytes = 4 * 1024 * 1024

export interface Delivery {
  readonly event: string
  readonly payload: unknown
  /** Of a retained event only the latest value matters. */
  readonly retained: boolean
  /** Some of those in the room may not hear it. */
  readonly allowed?: (client: Client) => boolean
}

/**
 * Sends events so that a client that reads slowly costs bounded memory and slows nobody: retained values wait outside the
 * connection, the latest replacing the one before; of other events a bounded number may pile up, then the client is cut off
 * and will get fresh snapshots when it returns.
 */
export class Deliverer {
  readonly #clients: ReadonlyMap<string, Client>
  readonly #maxBacklog: () => number
  /** Counts for whoever watches: connections cut because they did not read. */
  cutOff = 0

  constructor(clients: ReadonlyMap<string, Client>, maxBacklog: () => number) {
    this.#clients = clients
    this.#maxBacklog = maxBacklog
  }

  /** To a room of a namespace, or to all of it. Encoded once for all who keep up. */
  broadcast(namespace: Namespace, room: string | undefined, delivery: Delivery): void {
    const ids = room === undefined ? namespace.sockets.keys() : (namespace.adapter.rooms.get(room) ?? [])
    const except: string[] = []
    for (const id of ids) {
      const client = this.#clients.get(id)
      if (client && ((delivery.allowed && !delivery.allowed(client)) || this.#hold(client, delivery))) except.push(id)
    }
    const operator = room === undefined ? namespace.except(except) : namespace.to(room).except(except)
    operator.emit(delivery.event, ...values(delivery))
  }

  /** To one client. */
  send(client: Client, delivery: Delivery): void {
    if (!this.#hold(client, delivery)) client.socket.emit(delivery.event, ...values(delivery))
  }

  /** True if the client has left so much unread that it was cut off. */
  cutOffIfStuck(client: Client): boolean {
    const backlog = unread(client)
    if (backlog.length <= quickBacklog) return false
    const bytes = backlog.reduce((sum, { data }) => sum + (typeof data === 'string' ? data.length : (data?.byteLength ?? 0)), 0)
    if (backlog.length <= this.#maxBacklog() && bytes <= maxBacklogBytes) return false
    this.cutOff++
    client.socket.conn.close(true)
    return true
  }

  /** True if the event must not be sent now. */
  #hold(client: Client, { event, payload, retained }: Delivery): boolean {
    if (unread(client).length <= quickBacklog) return false
    if (this.cutOffIfStuck(client)) return true
    if (!retained) return false
    if (client.waiting.size === 0) client.socket.conn.once('drain', () => this.#release(client))
    client.waiting.set(event, payload)
    return true
  }

  #release(client: Client): void {
    const waiting = [...client.waiting]
    client.waiting.clear()
    for (const [event, payload] of waiting) this.send(client, { event, payload, retained: true })
  }
}

function values({ payload }: Delivery): unknown[] {
  return payload === undefined ? [] : [payload]
}

/** What Engine.IO keeps because the transport has not taken it. Not part of its types; there is no other way to see a slow reader. */
function unread(client: Client): ReadonlyArray<{ data?: string | Buffer }> {
  return client.socket.conn['writeBuffer'] as unknown as ReadonlyArray<{ data?: string | Buffer }>
}
