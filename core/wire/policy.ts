import type { Session } from '../auth/sessions.ts'

/** What a client brings to the door. */
export interface Handshake {
  /** Socket.IO's `auth`; anything. */
  readonly auth: unknown
  readonly address: string
  /** Throws a Refusal if the user has too many connections; to be called before anything is given out. */
  checkRoom(userId: string): void
}

export interface Admission {
  readonly session: Session
  readonly roles: readonly string[]
  /** It is a new login, and by what. */
  readonly login?: 'telegram'
  /** The first event the client gets. */
  readonly greeting?: { readonly event: string; readonly payload: unknown }
}

/** Who may connect to a namespace. One namespace has one policy. */
export interface Policy {
  readonly name: string
  /** `module:subscribe` and its kin exist; otherwise to connect is to subscribe. */
  readonly subscriptions: boolean
  /** Throws a Refusal. */
  admit(handshake: Handshake): Admission
  /** The roles of now, none if the user is no longer let in. */
  rolesOf(session: Session): readonly string[]
}
