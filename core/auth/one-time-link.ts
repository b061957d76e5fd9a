import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { hostName, isLoopback, isPrivate } from './address.ts'
import { type Identity, Refusal } from './identity.ts'

const lifeMs = 10 * 60_000
const sha256 = (text: string) => hash('sha256', text, 'buffer')

/** Where a code came from. */
export interface LinkRequest {
  /** Address of the TCP peer, whatever headers say. */
  readonly peer: string
  /** The Host header. */
  readonly host: string
  /** Whether anything says that somebody passed the request on (`isForwarded`). */
  readonly forwarded: boolean
}

/** Links that let the person at the machine in as its owner: one at a time, each for 10 minutes and for one use. */
export class OneTimeLinks {
  #link: { hash: Buffer; endsAt: number; lan: boolean } | undefined
  readonly #elapsed: () => number

  /** `elapsed` counts milliseconds. Not the time of day: that leaps when a Pi without a battery first hears what time it is. */
  constructor(elapsed: () => number = () => performance.now()) {
    this.#elapsed = elapsed
  }

  /** Makes a link that replaces the one before; `lan` opens it to private addresses. `expiresAt` in milliseconds since the epoch. */
  issue({ lan = false }: { lan?: boolean } = {}): { code: string; expiresAt: number } {
    const code = randomBytes(32).toString('base64url')
    this.#link = { hash: sha256(code), endsAt: this.#elapsed() + lifeMs, lan }
    return { code, expiresAt: Date.now() + lifeMs }
  }

  /** Uses the link up. Throws a Refusal, after which the link is as good as before. */
  redeem(code: unknown, { peer, host, forwarded }: LinkRequest): Identity {
    const link = this.#link
    const isNear = (address: string) => isLoopback(address) || (link?.lan === true && isPrivate(address))
    const name = hostName(host)
    if (forwarded || name === undefined || !isNear(peer) || !(name === 'localhost' || isNear(name)))
      throw new Refusal(
        'ACCESS_DENIED',
        'This link works only on the machine itself. One made by `patchbay login --lan` also works from its local network, at its address.',
      )
    if (typeof code !== 'string' || code.length > 128)
      throw new Refusal('AUTH_INVALID', 'The code must be a string of at most 128 characters.')
    if (!link || this.#elapsed() >= link.endsAt || !timingSafeEqual(sha256(code), link.hash))
      throw new Refusal(
        'AUTH_INVALID',
        'This link has been used, replaced or is older than 10 minutes. `patchbay login` makes a new one.',
      )
    this.#link = undefined
    return { userId: 'local:owner', user: { id: 0, firstName: 'Local owner' }, claims: {} }
  }
}
