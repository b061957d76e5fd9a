import type { Namespace, Socket } from 'socket.io'
import type { Client } from './client.ts'

/** Packets a client may leave unread before retained values are held back for it. */
const quickBacklog = 16
const maxBacklogBytes = 4 * 1024 * 1024

export interface Delivery {
  readonly event: string
  readonly payload: unknown
  /** Of a retained event only the latest value matters. */
  readonly retained: boolean
}

/**
 * Sends events so that a client that reads slowly costs bounded memory and slows nobody: retained values wait outside the
 * connection, the latest replacing the one before; of other events a bounded number may pile up, then the client is cut off
 * and will get fresh snapshots when it returns.
 */
export class Deliverer {
  readonly #clients: ReadonlyMap<string, Client>
  readonly #maxBacklog: () => number
  readonly #onCut: (client: Client) => void

  constructor(clients: ReadonlyMap<string, Client>, maxBacklog: () => number, onCut: (client: Client) => void) {
    this.#clients = clients
    this.#maxBacklog = maxBacklog
    this.#onCut = onCut
  }

  /**
   * To a room of a namespace, or to all of it. Encoded once for all who keep up; throws if that cannot be done. Returns how
   * many it went to, and for how many of them it waits.
   */
  broadcast(
    namespace: Namespace,
    room: string | undefined,
    delivery: Delivery,
    allowed?: (client: Client) => boolean,
  ): { clients: number; held: number } {
    let clients = 0
    const ids = room === undefined ? namespace.sockets.keys() : (namespace.adapter.rooms.get(room) ?? [])
    const [denied, slow]: [string[], Client[]] = [[], []]
    for (const id of ids) {
      const client = this.#clients.get(id)
      clients++
      if (!client || allowed?.(client) === false) denied.push(id)
      else if (this.#mustWait(client, delivery)) slow.push(client)
    }
    // Of this host: other hosts have machines of their own to tell of.
    const all = room === undefined ? namespace.local : namespace.local.to(room)
    all.except([...denied, ...slow.map(({ socket }) => socket.id)]).emit(delivery.event, ...values(delivery))
    for (const client of slow) this.#keep(client, delivery)
    return { clients: clients - denied.length, held: slow.length }
  }

  /** To one client. */
  send(client: Client, delivery: Delivery): void {
    if (this.#mustWait(client, delivery)) this.#keep(client, delivery)
    else client.socket.emit(delivery.event, ...values(delivery))
  }

  /** Cuts a client off that leaves too much unread. A burst is no backlog: what counts is what is left after this turn of the event loop. */
  watch(client: Client): void {
    if (client.isWatched || !this.#isStuck(client)) return
    client.isWatched = true
    setImmediate(() => {
      client.isWatched = false
      if (!this.#isStuck(client)) return
      this.#onCut(client)
      cut(client.socket.conn)
    })
  }

  #isStuck(client: Client): boolean {
    const backlog = unread(client)
    if (backlog.length <= quickBacklog) return false
    return (
      backlog.length > this.#maxBacklog() || backlog.reduce((sum, { data }) => sum + (data?.length ?? 0), 0) > maxBacklogBytes
    )
  }

  #mustWait(client: Client, { retained }: Delivery): boolean {
    if (unread(client).length <= quickBacklog) return false
    this.watch(client)
    return retained
  }

  #keep(client: Client, { event, payload }: Delivery): void {
    client.waiting.set(event, payload)
    if (client.isWaiting) return
    client.isWaiting = true
    client.socket.conn.once('drain', () => {
      client.isWaiting = false
      const waiting = [...client.waiting]
      client.waiting.clear()
      for (const [event, payload] of waiting) this.send(client, { event, payload, retained: true })
    })
  }
}

/** Closes a connection at once, without waiting for a peer that may never answer. */
export function cut(connection: Socket['conn']): void {
  connection.close(true)
  // The WebSocket beneath would wait 30 s for the peer's goodbye; a polling transport has none.
  const { socket } = connection.transport as unknown as { readonly socket?: { terminate(): void } }
  socket?.terminate()
}

export function values({ payload }: Delivery): unknown[] {
  return payload === undefined ? [] : [payload]
}

/** What Engine.IO keeps because the transport has not taken it. Not part of its types; there is no other way to see a slow reader. */
function unread(client: Client): ReadonlyArray<{ readonly data?: string | Buffer }> {
  return client.socket.conn['writeBuffer'] as unknown as ReadonlyArray<{ data?: string | Buffer }>
}
