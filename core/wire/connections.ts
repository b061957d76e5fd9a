import type { Namespace, Socket } from 'socket.io'
import type { Session, Sessions } from '../auth/sessions.ts'
import type { Log } from '../plugin/context.ts'
import { Client } from './client.ts'
import type { Door } from './door.ts'
import { refuse } from './errors.ts'
import type { Hub, Mount } from './hub.ts'
import type { Observers } from './observers.ts'
import type { Road } from './road.ts'

const longestWaitMs = 3_600_000

export interface ConnectionsParts {
  readonly hub: Hub
  readonly road: Road
  readonly door: Door
  readonly sessions: Sessions
  readonly observers: Observers
  readonly log: Log
}

/** From the open door to the last goodbye: the clients of all namespaces. */
export class Connections {
  readonly #parts: ConnectionsParts
  readonly #served = new WeakSet<Namespace>()

  constructor(parts: ConnectionsParts) {
    this.#parts = parts
  }

  /** Serves a namespace. Whether somebody may enter is asked of whatever is mounted there at that moment. */
  serve(namespace: Namespace): void {
    if (this.#served.has(namespace)) return
    this.#served.add(namespace)
    const { door, hub, log } = this.#parts
    namespace.use((socket, next) => door.admit(socket, hub.mounts.get(namespace.name), (userId) => this.#socketsOf(userId), next))
    namespace.on('connection', (socket) => {
      try {
        this.#connect(socket)
      } catch (error) {
        // Socket.IO would let this end the process.
        log.error({ err: error }, 'a connection could not be set up')
        socket.disconnect(true)
      }
    })
  }

  /** Tells the clients of a session that it has ended, and closes them. */
  end(session: Session): void {
    for (const client of this.#clients()) if (client.session === session) client.dismiss('SESSION_EXPIRED')
  }

  /** Roles or the access list changed: who is out is closed, who may do less loses the rest. */
  review(): void {
    for (const client of this.#clients()) {
      client.roles = (this.#parts.hub.mounts.get(client.caller.namespace) as Mount).policy.rolesOf(client.session)
      if (client.roles.length === 0) client.dismiss('ACCESS_DENIED', 'You were taken off the list of those who may enter.')
      else this.#parts.hub.review(client)
    }
  }

  #clients(): Client[] {
    return [...this.#parts.hub.clients.values()]
  }

  #socketsOf(userId: string): number {
    return this.#clients().filter((client) => client.caller.userId === userId).length
  }

  #connect(socket: Socket): void {
    const { hub, road, door, sessions, observers } = this.#parts
    const admission = door.take(socket)
    const mount = hub.mounts.get(socket.nsp.name)
    if (!admission || !mount || admission.session.endedAt !== undefined) return void socket.disconnect(true)
    const { session, roles, greeting, login } = admission
    const client = new Client(socket, session, roles, door.addressOf(socket))
    hub.clients.set(socket.id, client)
    const who = { userId: session.userId, session: session.id, address: client.address }
    if (login) observers.notice({ kind: 'login', by: login, ...who })
    observers.notice({ kind: 'connected', ...who })
    void socket.join(Client.userRoom(session.userId))
    const forget = this.#watchExpiry(session)
    const heard = () => {
      for (const module of mount.modules) module.audience?.heard?.(session.userId)
    }
    heard()
    socket.conn.on('packet', heard)
    socket.on('disconnect', () => {
      forget()
      socket.conn.off('packet', heard)
      observers.notice({ kind: 'disconnected', ...who })
      hub.clients.delete(socket.id)
      for (const module of [...client.subscriptions]) hub.unsubscribe(client, module)
      road.calls.end((call) => call.client === client, refuse('SESSION_EXPIRED'))
      for (const module of hub.mounts.get(socket.nsp.name)?.modules ?? []) module.audience?.left(socket.id)
      sessions.touch(session)
      // A connection that nobody is logged in on would be counted with no user.
      if (socket.client['sockets'].size === 0) socket.conn.close()
    })
    // A middleware that never passes on. Socket.IO would spend a turn of its queue on looking for listeners, and there are none.
    socket.use(([name, ...args]) => {
      hub.deliverer.watch(client)
      road.receive(client, String(name), args)
    })
    if (greeting) socket.emit(greeting.event, greeting.payload)
    if (!mount.policy.subscriptions) for (const module of mount.modules) hub.subscribe(client, module)
  }

  /** A live socket keeps its session from idling out, and ends with it: `touch` ends what has expired. */
  #watchExpiry(session: Session): () => void {
    const { sessions } = this.#parts
    let timer: NodeJS.Timeout
    const arm = () => {
      const waitMs = Math.max(1000, (sessions.expiresAt(session) - Date.now()) / 2)
      timer = setTimeout(check, Math.min(waitMs, longestWaitMs)).unref()
    }
    const check = () => {
      sessions.touch(session)
      if (session.endedAt === undefined) arm()
    }
    arm()
    return () => clearTimeout(timer)
  }
}
