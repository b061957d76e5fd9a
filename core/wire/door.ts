import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'socket.io'
import { addressKey } from '../auth/address.ts'
import { Refusal } from '../auth/identity.ts'
import type { HostConfig } from '../config/types.ts'
import type { Guard } from '../http/guard.ts'
import type { Log } from '../plugin/context.ts'
import { cut } from './deliver.ts'
import type { CommandError } from './errors.ts'
import type { Mount } from './hub.ts'
import type { Admission } from './policy.ts'
import { RateLimits } from './rate.ts'

type Connection = Socket['conn']

/** One visitor's address: its connections, and how often it failed lately. */
interface Visitor {
  connections: number
  readonly pending: Set<Connection>
  failures: number
  failuresSince: number
}

const maxVisitors = 10_000

/**
 * Lets connections in. Behind a tunnel all the world has one address, so the failures of an address never keep out valid
 * credentials: what is not logged in makes room, and too many failures only close the connection they came on.
 */
export class Door {
  readonly #guard: Guard
  readonly #limits: () => HostConfig['limits']
  readonly #log: Log
  readonly #visitors = new Map<string, Visitor>()
  readonly #admitted = new WeakMap<Socket, Admission>()
  readonly #paces = new RateLimits()
  #connections = 0
  /** Told of every refusal, for the audit. */
  onRefusal: (refusal: Refusal, address: string) => void = () => {}

  constructor(parts: { guard: Guard; limits: () => HostConfig['limits']; log: Log }) {
    this.#guard = parts.guard
    this.#limits = parts.limits
    this.#log = parts.log
  }

  /** Before the handshake: Host and Origin (CORS does not cover WebSocket), and the limits of the address. */
  attach(io: Server): void {
    io.engine.use((request: IncomingMessage & { _query?: { sid?: string } }, response: ServerResponse, next: () => void) => {
      const problem = this.#guard.problem(request)
      if (problem) reject(request, response, '403 Forbidden', problem)
      else if (!request._query?.sid && this.#isFull(request))
        reject(request, response, '429 Too Many Requests', 'Too many connections.')
      else next()
    })
    io.engine.on('connection', (connection: Connection) => {
      const visitor = this.#visitor(this.#guard.addressOf(connection.request))
      visitor.pending.add(connection)
      visitor.connections++
      this.#connections++
      connection.once('close', () => {
        visitor.pending.delete(connection)
        visitor.connections--
        this.#connections--
      })
    })
  }

  /** Socket.IO's middleware: who is this, and may he come in? */
  async admit(
    socket: Socket,
    mount: Mount | undefined,
    socketsOf: (userId: string) => number,
    next: (error?: Error) => void,
  ): Promise<void> {
    const address = this.addressOf(socket)
    const checkRoom = (userId: string): void => {
      if (socketsOf(userId) >= this.#limits().socketsPerUser)
        throw new Refusal('ACCESS_DENIED', 'You have too many connections. Close one.', { retryAfter: 30 })
    }
    try {
      if (!mount) throw new Refusal('AUTH_REQUIRED', 'Nothing is served on this namespace.')
      this.#checkPace(mount, address)
      const { auth } = socket.handshake
      const { anonymous, policy } = mount
      const admitted = policy.admit({ auth, address, request: socket.request, anonymous, checkRoom })
      // Nobody waits for what is known at once.
      const admission = admitted instanceof Promise ? await admitted : admitted
      if (admission.refusal) {
        if (this.#countFailure(address)) throw admission.refusal
        this.onRefusal(admission.refusal, address)
      }
      this.#admitted.set(socket, admission)
      if (!admission.session.isAnonymous) this.settle(socket)
      next()
    } catch (error) {
      if (!(error instanceof Refusal)) this.#log.error({ err: error }, 'the door failed')
      const refusal = error instanceof Refusal ? error : new Refusal('AUTH_INVALID', 'The login could not be checked.')
      const tooMany = this.#countFailure(address)
      if (!tooMany) this.onRefusal(refusal, address)
      next(Object.assign(new Error(refusal.code), { data: tooMany ? { ...refusal.data, retryAfter: 60 } : refusal.data }))
      if (tooMany) setImmediate(() => socket.conn.close())
    }
  }

  /** Somebody has logged in on this connection: it makes no room for others any more. */
  settle(socket: Socket): void {
    this.#visitor(this.addressOf(socket)).pending.delete(socket.conn)
  }

  addressOf(socket: Socket): string {
    return this.#guard.addressOf(socket.request)
  }

  /** What `admit` found out. */
  take(socket: Socket): Admission | undefined {
    return this.#admitted.get(socket)
  }

  #isFull(request: IncomingMessage): boolean {
    const limits = this.#limits()
    const { connections, pending } = this.#visitor(this.#guard.addressOf(request))
    const isFull = this.#connections >= limits.sockets || connections >= limits.socketsPerAddress
    if (!isFull && pending.size < limits.pendingPerAddress) return false
    const [oldest] = pending
    if (oldest) cut(oldest)
    return isFull && !oldest
  }

  /** As many from one address within a minute as the contract lets in. */
  #checkPace({ pace }: Mount, address: string): void {
    try {
      if (pace) this.#paces.take(addressKey(address), pace)
    } catch (error) {
      const { retryAfter = 60 } = error as CommandError
      throw new Refusal('ACCESS_DENIED', 'Too many connections from your address within a minute.', { retryAfter })
    }
  }

  /** True if the address has failed too often within a minute. */
  #countFailure(address: string): boolean {
    const visitor = this.#visitor(address)
    const now = Date.now()
    if (now - visitor.failuresSince > 60_000) Object.assign(visitor, { failures: 0, failuresSince: now })
    const limit = this.#limits().failuresPerMinute
    if (++visitor.failures === limit + 1) this.#log.warn({ address }, 'too many failed logins from this address within a minute')
    return visitor.failures > limit
  }

  #visitor(address: string): Visitor {
    const key = addressKey(address)
    const known = this.#visitors.get(key)
    if (known) return known
    if (this.#visitors.size >= maxVisitors)
      for (const [other, { connections, failuresSince }] of this.#visitors)
        if (connections === 0 && Date.now() - failuresSince > 60_000) this.#visitors.delete(other)
    const visitor = { connections: 0, pending: new Set<Connection>(), failures: 0, failuresSince: 0 }
    this.#visitors.set(key, visitor)
    return visitor
  }
}

/** Engine.IO's response object cannot answer an upgrade, so that is done by hand. */
function reject(request: IncomingMessage, response: ServerResponse, status: string, text: string): void {
  if (request.headers.upgrade) {
    request.socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n`)
    return
  }
  response.writeHead(Number(status.slice(0, 3)), { 'Content-Type': 'text/plain', 'Retry-After': '10' })
  response.end(text)
}
