import type { Caller, ConnectedClient, Context } from 'patchbay/plugin'
import type { areas } from './contract.ts'
import type { Delivery } from './delivery.ts'
import type { Pairings } from './pairings.ts'
import type { Repository } from './repository.ts'

type Bearer = Pick<Caller, 'userId' | 'roles' | 'claims'>

export interface VisitorsParts {
  readonly ctx: Pick<Context<typeof areas>, 'clients' | 'send' | 'error'>
  readonly repository: Repository
  readonly pairings: Pairings
  readonly delivery: Delivery
}

const features = ['area_updates', 'token_events', 'acknowledgement', 'replay', 'bulk']
const revokedMessage = 'Your access has been revoked by admin. Pair this device again.'

/** The client that a token stands for: its claim `clientId`, else its subject. */
export function clientIdOf({ claims, userId }: Bearer): string {
  return typeof claims.clientId === 'string' ? claims.clientId : userId.slice(userId.indexOf(':') + 1)
}

const roomOf = (clientId: string): string => `client:${clientId}`
/** Milliseconds since the epoch. */
const issuedAt = ({ claims }: Bearer): number => Number(claims.iat ?? 0) * 1000

/** Who may come in, and what each of them is told at the door. */
export class Visitors {
  readonly #parts: VisitorsParts

  constructor(parts: VisitorsParts) {
    this.#parts = parts
  }

  async receive(visitor: ConnectedClient): Promise<void> {
    const { ctx, repository, pairings, delivery } = this.#parts
    const { clientId: socketId, roles, auth } = visitor
    const id = clientIdOf(visitor)
    if (!roles.some((role) => role === 'client' || role === 'admin' || role === 'pairing') || !/^[\w.:-]{1,64}$/.test(id))
      return ctx.clients.disconnect({ client: socketId })
    const isClient = roles.includes('client')
    // What is not in the store yet is here, if this is asked first.
    const reached = delivery.reached(id)
    const known = isClient ? await repository.meet(id, issuedAt(visitor)) : undefined
    if (isClient && !known) return this.#sendAway({ client: socketId })
    if (isClient) await ctx.clients.join(socketId, roomOf(id))
    const timestamp = new Date().toISOString()
    if (!visitor.isKnown)
      ctx.send({ client: socketId }, 'connected', {
        clientId: id,
        message: 'Connected to real-time updates',
        features,
        timestamp,
      })
    if (roles.includes('pairing')) await this.completePairing(id, { client: socketId })
    if (!known) return
    // One that was here before has had what it missed then.
    const said =
      !visitor.isKnown && typeof auth.lastEventId === 'string' && /^\d{1,15}$/.test(auth.lastEventId)
        ? Number(auth.lastEventId)
        : undefined
    const seq = said !== undefined && said <= known.last ? said : Math.max(known.delivered, reached)
    delivery.add(id, socketId, { acknowledge: auth.acknowledge === true, bulk: auth.bulk === true, seq })
    await pairings.close(id)
  }

  /** Tells a device that waits, wherever it does, if it is approved. */
  async completePairing(id: string, target: { client: string } | { user: string } = { user: `jwt:${id}` }): Promise<void> {
    const completed = await this.#parts.pairings.completed(id)
    if (completed) this.#parts.ctx.send(target, 'pairing_completed', completed)
  }

  /** A client whose token was revoked, with all its connections, also to other hosts. */
  async dismiss(clientId: string): Promise<void> {
    await this.#sendAway({ room: roomOf(clientId) })
    await this.#parts.ctx.clients.revoke({ subject: clientId })
  }

  /** Whose areas are asked for: undefined stands for all. */
  async ownOnly(caller: Bearer): Promise<string | undefined> {
    await this.mustBeGood(caller)
    return caller.roles.includes('admin') ? undefined : clientIdOf(caller)
  }

  /** Another host may have revoked it. */
  async mustBeGood(caller: Bearer): Promise<void> {
    if (!caller.roles.includes('client')) return
    if (!(await this.#parts.repository.meet(clientIdOf(caller), issuedAt(caller))))
      throw this.#parts.ctx.error('CLIENT_REVOKED', undefined, { status: 401 })
  }

  async #sendAway(target: { client: string } | { room: string }): Promise<void> {
    const { ctx } = this.#parts
    ctx.send(target, 'token_revoked', { message: revokedMessage, timestamp: new Date().toISOString() })
    await ctx.clients.disconnect(target)
  }
}
