import { randomUUID } from 'node:crypto'
import { addressKey } from './address.ts'
import type { Identity } from './identity.ts'

/** A login. The same object for as long as it lives; its fields change in place. Times in milliseconds since the epoch. */
export interface Session extends Identity {
  /** Random; neither secret nor a token. */
  readonly id: string
  readonly createdAt: number
  readonly lastUsedAt: number
  /** The latest attempts to use a token that had been replaced, oldest first. */
  readonly refusedTokens: ReadonlyArray<{ readonly at: number; readonly address: string }>
  /** When its credentials end by themselves, whatever it is used for. */
  readonly expiresAt?: number
  /** Nothing has authenticated it. */
  readonly isAnonymous?: true
  /** Set when it was revoked, expired or made room: it lets nobody in any more. */
  readonly endedAt?: number
}

/** Somebody of whom nothing is known but the address: what limits count by. */
export function nobody(address: string): Session {
  const userId = `anonymous:${addressKey(address)}`
  return { ...bearer({ userId, user: { id: 0, firstName: '' }, claims: {} }, Infinity), isAnonymous: true }
}

/** A session that is kept nowhere: it is as good as what was shown for it, until `expiresAt`. */
export function bearer(identity: Identity, expiresAt: number, id: string = randomUUID()): Session {
  const now = Date.now()
  return { ...identity, id, createdAt: now, lastUsedAt: now, refusedTokens: [], expiresAt }
}

/** One of a session's tokens. */
export interface Token {
  /** SHA-256, base64url. The token itself is not kept. */
  readonly hash: string
  /** Hash of the token it was minted from. */
  readonly parent?: string
  /** 0 if never. */
  usedAt: number
  /** Set when a successor was first used: from then on it is refused. */
  retiresAt?: number
}

/** A session with what its holders have in hand; this is what is kept on disk. */
export interface Login {
  readonly session: { -readonly [K in keyof Session]: Session[K] }
  tokens: Token[]
}

/** Whether something read from disk is a login that the code can work with. */
export function isLogin(entry: unknown): entry is Login {
  const { session, tokens } = (entry ?? {}) as { session?: Partial<Session>; tokens?: Array<Partial<Token> | null> }
  return (
    [session?.id, session?.userId].every((text) => typeof text === 'string') &&
    [session?.createdAt, session?.lastUsedAt].every(Number.isFinite) &&
    [session?.user, session?.claims].every((value) => typeof value === 'object' && value !== null) &&
    [session?.refusedTokens, tokens].every(Array.isArray) &&
    tokens?.every((token) => typeof token?.hash === 'string' && Number.isFinite(token.usedAt)) === true
  )
}

/** Whether something read from disk says until when a user's init data counts for nothing. */
export function isRevocation(entry: unknown): entry is [userId: string, signedBefore: number] {
  return Array.isArray(entry) && typeof entry[0] === 'string' && Number.isFinite(entry[1])
}
