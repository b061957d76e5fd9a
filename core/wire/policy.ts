import type { IncomingMessage } from 'node:http'
import type { Refusal } from '../auth/identity.ts'
import type { Session } from '../auth/sessions.ts'
import type { Clients } from '../plugin/capabilities.ts'
import type { Caller } from '../plugin/context.ts'

/** What a client brings to the door. */
export interface Handshake {
  /** Socket.IO's `auth`; anything. */
  readonly auth: unknown
  readonly address: string
  /** The HTTP request that it connected with. */
  readonly request: IncomingMessage
  /** Who cannot be known may enter all the same. */
  readonly anonymous: boolean
  /** Throws a Refusal if the user has too many connections; to be called before anything is given out. */
  checkRoom(userId: string): void
}

export interface Admission {
  readonly session: Session
  readonly roles: readonly string[]
  /** It is a new login, and by what. */
  readonly login?: 'telegram'
  /** What is wrong with the credentials of somebody who was let in without. */
  readonly refusal?: Refusal
  /** The first event the client gets. */
  readonly greeting?: { readonly event: string; readonly payload: unknown }
}

/** Who may connect to a namespace. One namespace has one policy. */
export interface Policy {
  readonly name: string
  /** `module:subscribe` and its kin exist; otherwise to connect is to subscribe. */
  readonly subscriptions: boolean
  /** Throws a Refusal. */
  admit(handshake: Handshake): Admission | Promise<Admission>
  /** The roles of now, none if the user is no longer let in. */
  rolesOf(session: Session): readonly string[]
  /** Who sends an HTTP request; undefined if it bears nothing to be known by. Rejects with a Refusal. Without it the host's own sessions count. */
  recognize?(request: IncomingMessage): Promise<Requester | undefined>
  /** Where the credentials are tokens. */
  readonly tokens?: Tokens
}

/** Who asks for a route. */
export type Requester = Pick<Caller, 'userId' | 'roles' | 'claims'>

export interface Tokens extends Pick<Clients, 'issue' | 'revoke'> {
  /** Whose token this is. Rejects with a Refusal, whatever it is given. */
  session(token: unknown): Promise<Session>
  /** Whether it was revoked since it was known. */
  isRevoked(session: Session): boolean
}
