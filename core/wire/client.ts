import type { Socket } from 'socket.io'
import type { Session } from '../auth/sessions.ts'
import type { Caller } from '../plugin/context.ts'
import { type CoreCode, coreErrors } from './errors.ts'
import type { Module } from './module.ts'

/** One connected socket, and what the host remembers of it. */
export class Client {
  readonly socket: Socket
  /** Who it is; another one once it has authenticated, or logged out. */
  session: Session
  readonly caller: Caller
  readonly address: string
  roles: readonly string[]
  readonly subscriptions = new Set<Module>()
  /** Retained values that wait until the client has read what it was sent; the latest wins. */
  readonly waiting = new Map<string, unknown>()
  isWaiting = false
  /** Its backlog is being looked at. */
  isWatched = false
  /** Plugins that were told of it, by id. */
  readonly met = new Set<string>()
  /** What is wrong with the credentials that it came with, if it was let in without. */
  refusal: string | undefined
  /** Questions to it that it has not answered. */
  asked = 0
  /** Ends the watch over how long its session lasts. */
  unwatch: () => void = () => {}

  constructor(socket: Socket, session: Session, roles: readonly string[], address: string) {
    this.socket = socket
    this.address = address
    this.session = session
    this.roles = roles
    const client = this
    this.caller = {
      clientId: socket.id,
      get userId() {
        return client.session.userId
      },
      get sessionId() {
        return client.session.id
      },
      get roles() {
        return client.roles
      },
      get claims() {
        return client.session.claims
      },
      namespace: socket.nsp.name,
      localAddress: socket.request.socket.localAddress ?? '',
    }
  }

  get isAnonymous(): boolean {
    return this.session.isAnonymous === true
  }

  /** The room of all sockets of a user. */
  static userRoom(userId: string): string {
    return `user:${userId}`
  }

  /** Says why, then closes the socket. */
  dismiss(code: CoreCode, message: string = coreErrors[code]): void {
    this.socket.emit('error', { module: 'host', code, message })
    this.socket.disconnect(true)
  }
}
