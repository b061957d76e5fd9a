import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { type Identity, Refusal } from '../auth/identity.ts'
import type { Sessions } from '../auth/sessions.ts'
import type { Requester } from '../wire/policy.ts'
import type { Guard } from './guard.ts'

export interface IdentifyParts {
  readonly guard: Guard
  readonly sessions: Sessions
  readonly rolesOf: (identity: Identity) => readonly string[]
}

/** The token of `Authorization: Bearer …`. */
export function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/**
 * Who asks: by the session token in `Authorization`, or by the cookie that the login page's browser got, which comes with
 * requests of this very site only (SameSite=Strict). Throws a Refusal.
 */
export function identify(request: IncomingMessage, parts: IdentifyParts): Requester {
  const { session, roles } = authenticate(request, parts)
  return { userId: session.userId, roles, claims: session.claims }
}

/** The same with the session, which is for the core's own eyes. */
export function authenticate(request: IncomingMessage, { guard, sessions, rolesOf }: IdentifyParts) {
  const token = bearerOf(request) ?? cookieNamed(request, cookieName(request))
  if (token === undefined) throw new Refusal('AUTH_REQUIRED', 'Send your session token as Authorization: Bearer …')
  const session = sessions.check(token, guard.addressOf(request))
  const roles = rolesOf(session)
  if (roles.length === 0) throw new Refusal('ACCESS_DENIED', 'You may not enter this machine.')
  return { session, roles }
}

/** A browser keeps cookies by host name, not by port: the port in the name keeps two daemons of one machine apart. */
const cookieName = ({ socket }: IncomingMessage) => `patchbay-${socket.localPort}`

export function cookieNamed(request: IncomingMessage, name: string): string | undefined {
  const start = `${name}=`
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim())
  return pairs.find((pair) => pair.startsWith(start))?.slice(start.length)
}

/** The header that gives a browser its cookie. No script can read it. */
export function cookieHeader(request: IncomingMessage, token: string): string {
  const secure = (request.socket as Partial<TLSSocket>).encrypted ? '; Secure' : ''
  return `${cookieName(request)}=${token}; HttpOnly; SameSite=Strict; Path=/${secure}`
}
