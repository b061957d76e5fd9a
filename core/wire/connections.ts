import type { Namespace, Socket } from 'socket.io'
import type { Session, Sessions } from '../auth/sessions.ts'
import type { Log } from '../plugin/context.ts'
import { Client } from './client.ts'
import type { Door } from './door.ts'
import { type CoreCode, refuse } from './errors.ts'
import type { Hub, Mount } from './hub.ts'
import type { Road } from './road.ts'

/** Node's timers hold 31 bits. */
const maxTimerMs = 2 ** 31 - 1

/** From the open door to the last goodbye: the clients of all namespaces. */
export class Connections {
  readonly #hub: Hub
  readonly #road: Road
  readonly #door: Door
  readonly #sessions: Sessions
  readonly #log: Log
  readonly #served = new WeakSet<Namespace>()

  constructor(parts: { hub: Hub; road: Road; door: Door; sessions: Sessions; log: Log }) {
    this.#hub = parts.hub
    this.#road = parts.road
    this.#door = parts.door
    this.#sessions = parts.sessions
    this.#log = parts.log
  }

  /** Serves a namespace. Whether somebody may enter is asked of whatever is mounted there at that moment. */
  serve(namespace: Namespace): void {
    if (this.#served.has(namespace)) return
    this.#served.add(namespace)
    namespace.use((socket, next) => this.#door.admit(socket, this.#hub.mounts.get(namespace.name), this.socketsOf.bind(this), next))
    namespace.on('connection', (socket) => {
      try {
        this.#connect(socket)
      } catch (error) {
        // Socket.IO would let this end the process.
        this.#log.error({ err: error }, 'a connection could not be set up')
        socket.disconnect(true)
      }
    })
  }

  /** How many sockets a user has. */
  socketsOf(userId: string): number {
    let count = 0
    for (const client of this.#hub.clients.values()) if (client.caller.userId === userId) count++
    return count
  }

  /** Tells the clients of a session that it has ended, and closes them. */
  end(session: Session, code: CoreCode = 'SESSION_EXPIRED'): void {
    for (const client of [...this.#hub.clients.values()]) if (client.session === session) client.dismiss(code)
  }

  /** Roles or the access list changed: who is out is closed, who may do less loses the rest. */
  review(): void {
    for (const client of [...this.#hub.clients.values()]) {
      client.roles = this.#mountOf(client).policy.rolesOf(client.session)
      if (client.roles.length === 0) client.dismiss('ACCESS_DENIED', 'You were taken off the list of those who may enter.')
      else this.#hub.review(client)
    }
  }

  #mountOf(client: Client): Mount {
    return this.#hub.mounts.get(client.caller.namespace) as Mount
  }

  #connect(socket: Socket): void {
    const admission = this.#door.take(socket)
    const mount = this.#hub.mounts.get(socket.nsp.name)
    if (!admission || !mount || admission.session.endedAt !== undefined) return void socket.disconnect(true)
    const client = new Client(socket, admission.session, admission.address, admission.roles)
    this.#hub.clients.set(socket.id, client)
    void socket.join(Client.userRoom(client.caller.userId))
    const expiry = this.#watchExpiry(client)
    socket.on('disconnect', () => {
      expiry.stop()
      this.#hub.clients.delete(socket.id)
      for (const module of [...client.subscriptions]) this.#hub.unsubscribe(client, module)
      this.#road.calls.end((call) => call.client === client, refuse('SESSION_EXPIRED'))
      this.#sessions.touch(client.session)
    })
    socket.onAny((name, ...args) => {
      if (!this.#hub.deliverer.cutOffIfStuck(client)) this.#road.receive(client, String(name), args)
    })
    if (admission.greeting) socket.emit(admission.greeting.event, admission.greeting.payload)
    if (!mount.policy.subscriptions) for (const module of mount.modules) this.#hub.subscribe(client, module)
  }

  /** A live socket keeps its session from idling out, and ends with it. */
  #watchExpiry(client: Client): { stop(): void } {
    let timer: NodeJS.Timeout
    const arm = () => {
      const left = this.#sessions.expiresAt(client.session) - Date.now()
      timer = setTimeout(check, Math.min(Math.max(left / 2, 1000), maxTimerMs)).unref()
    }
    const check = () => {
      this.#sessions.touch(client.session)
      if (this.#sessions.expiresAt(client.session) <= Date.now()) client.dismiss('SESSION_EXPIRED')
      else arm()
    }
    arm()
    return { stop: () => clearTimeout(timer) }
  }
}
