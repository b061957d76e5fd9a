import type { Namespace, Socket } from 'socket.io'
import type { Session, Sessions } from '../auth/sessions.ts'
import type { Log } from '../plugin/context.ts'
import { tellRefusal } from './acknowledge.ts'
import { Client } from './client.ts'
import type { Door } from './door.ts'
import { type CoreCode, coreErrors, refuse } from './errors.ts'
import type { Hub, Mount } from './hub.ts'
import type { Observers } from './observers.ts'
import { hasOthers } from './other-hosts.ts'
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
    namespace.use(
      (socket, next) => void door.admit(socket, hub.mounts.get(namespace.name), (userId) => this.#socketsOf(userId), next),
    )
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

  /** Tells the clients of sessions that have ended so, and closes them. */
  end(hasEnded: (session: Session) => boolean): void {
    for (const client of this.#clients()) if (hasEnded(client.session)) this.#dismiss(client, 'SESSION_EXPIRED')
  }

  /** Makes a client somebody else: it has authenticated, or logged out. */
  become(client: Client, session: Session): void {
    const { hub, door } = this.#parts
    const { socket } = client
    const mount = hub.mounts.get(socket.nsp.name)
    if (!mount || socket.disconnected) return
    if (!client.isAnonymous) void socket.leave(Client.userRoom(client.session.userId))
    client.unwatch()
    client.session = session
    client.roles = mount.policy.rolesOf(session)
    client.unwatch = this.#watchExpiry(session)
    if (client.isAnonymous) {
      for (const module of [...client.subscriptions]) hub.unsubscribe(client, module)
    } else {
      void socket.join(Client.userRoom(session.userId))
      door.settle(socket)
      for (const module of mount.modules) hub.subscribe(client, module)
    }
    for (const module of mount.modules) module.audience?.reviewed?.(client)
  }

  #dismiss(client: Client, code: CoreCode, message: string = coreErrors[code]): void {
    for (const module of this.#parts.hub.mounts.get(client.caller.namespace)?.modules ?? [])
      tellRefusal(client, module, { code, message })
    client.dismiss(code, message)
  }

  /** Roles or the access list changed: who is out is closed, who may do less loses the rest. */
  review(): void {
    for (const client of this.#clients()) {
      const { policy } = this.#parts.hub.mounts.get(client.caller.namespace) as Mount
      // Of others the list knows nothing.
      if (!policy.subscriptions) continue
      client.roles = policy.rolesOf(client.session)
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
    if (!admission || !mount || admission.session.endedAt !== undefined || mount.policy.tokens?.isRevoked(admission.session))
      return void socket.disconnect(true)
    const { session, roles, greeting, login, refusal } = admission
    const client = new Client(socket, session, roles, door.addressOf(socket))
    client.refusal = refusal?.data.reason
    hub.clients.set(socket.id, client)
    const who = { userId: session.userId, session: session.id, address: client.address }
    if (login) observers.notice({ kind: 'login', by: login, ...who })
    observers.notice({ kind: 'connected', ...who })
    if (!client.isAnonymous) void socket.join(Client.userRoom(session.userId))
    client.unwatch = this.#watchExpiry(session)
    const heard = () => {
      for (const module of mount.modules) module.audience?.heard?.(client.session.userId)
    }
    heard()
    socket.conn.on('packet', heard)
    // What another host says to it does not pass through the deliverer.
    const watch = () => hub.deliverer.watch(client)
    if (hasOthers(socket.nsp)) socket.conn.on('packetCreate', watch)
    socket.on('disconnect', () => {
      socket.conn.off('packetCreate', watch)
      client.unwatch()
      socket.conn.off('packet', heard)
      const { userId, id } = client.session
      observers.notice({ kind: 'disconnected', ...who, userId, session: id })
      hub.clients.delete(socket.id)
      for (const module of [...client.subscriptions]) hub.unsubscribe(client, module)
      road.calls.end((call) => call.client === client, refuse('SESSION_EXPIRED'))
      for (const module of hub.mounts.get(socket.nsp.name)?.modules ?? []) module.audience?.left(socket.id)
      sessions.touch(client.session)
      // A connection that nobody is logged in on would be counted with no user.
      if (socket.client['sockets'].size === 0) socket.conn.close()
    })
    // A middleware that never passes on. Socket.IO would spend a turn of its queue on looking for listeners, and there are none.
    socket.use(([name, ...args]) => {
      hub.deliverer.watch(client)
      road.receive(client, String(name), args)
    })
    if (greeting) socket.emit(greeting.event, greeting.payload)
    if (mount.policy.subscriptions) return
    for (const module of mount.modules) {
      if (refusal) tellRefusal(client, module, { code: refusal.code, message: refusal.data.reason })
      hub.introduce(module, [client])
      if (!client.isAnonymous) hub.subscribe(client, module)
    }
  }

  /** A live socket keeps its session from idling out, and ends with it: `touch` ends what has expired. */
  #watchExpiry(session: Session): () => void {
    const { sessions } = this.#parts
    let timer: NodeJS.Timeout
    const { expiresAt } = session
    const arm = () => {
      const waitMs =
        expiresAt === undefined ? Math.max(1000, (sessions.expiresAt(session) - Date.now()) / 2) : expiresAt - Date.now()
      timer = setTimeout(check, Math.min(waitMs, longestWaitMs)).unref()
    }
    const check = () => {
      if (expiresAt === undefined) sessions.touch(session)
      else if (expiresAt <= Date.now()) return this.end((other) => other === session)
      if (session.endedAt === undefined) arm()
    }
    arm()
    return () => clearTimeout(timer)
  }
}
