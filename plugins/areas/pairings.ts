import { randomInt, randomUUID } from 'node:crypto'
import type { Clients } from 'patchbay/plugin'
import { type Db, iso } from './events.ts'
import type { Repository } from './repository.ts'

type Refusal = 'PAIRING_NOT_FOUND' | 'PAIRING_FULL'

const most = { open: 100, ofAnAddress: 10 }
/** Without those that are mistaken for one another. */
const alphabet = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'
const codeLength = 6
const prefix = 'pairing_'

export interface Completed {
  readonly token: string
  readonly clientId: string
  readonly assignedAreas: string[]
}

/**
 * Devices that ask to be let in. A code only tells the admin which of them he has before him; what lets a device in is its secret, a token of
 * the role `pairing`, which is good for waiting and for nothing else.
 */
export class Pairings {
  readonly #db: Db
  readonly #repository: Repository
  readonly #clients: Pick<Clients, 'issue' | 'revoke'>
  readonly #refuse: (code: Refusal) => Error
  readonly #lifetimes: { readonly pairingLifetimeS: number; readonly tokenLifetimeS: number }

  constructor(
    db: Db,
    repository: Repository,
    clients: Pick<Clients, 'issue' | 'revoke'>,
    refuse: (code: Refusal) => Error,
    lifetimes: { readonly pairingLifetimeS: number; readonly tokenLifetimeS: number },
  ) {
    this.#db = db
    this.#repository = repository
    this.#clients = clients
    this.#refuse = refuse
    this.#lifetimes = lifetimes
  }

  async request(name: string, address: string): Promise<{ code: string; secret: string; expiresAt: string }> {
    const id = `${prefix}${randomUUID()}`
    const lifetimeS = this.#lifetimes.pairingLifetimeS
    const { token, jti } = await this.#clients.issue({ subject: id, roles: ['pairing'], lifetimeS })
    return this.#repository.write(async (trx, now) => {
      await trx.deleteFrom('pairings').where('expires_at', '<=', now).execute()
      const open = await trx.selectFrom('pairings').select(['code', 'address']).execute()
      const ofAddress = open.filter((pairing) => pairing.address === address)
      if (open.length >= most.open || ofAddress.length >= most.ofAnAddress) throw this.#refuse('PAIRING_FULL')
      const taken = new Set(open.map((pairing) => pairing.code))
      let code = ''
      do code = Array.from({ length: codeLength }, () => alphabet[randomInt(alphabet.length)]).join('')
      while (taken.has(code))
      const expires = now + lifetimeS * 1000
      const row = { id, code, name, address, token_id: jti, created_at: now, expires_at: expires, client_id: null }
      await trx.insertInto('pairings').values(row).execute()
      return { code, secret: token, expiresAt: iso(expires) }
    })
  }

  async list() {
    const rows = await this.#db
      .selectFrom('pairings')
      .selectAll()
      .where('expires_at', '>', Date.now())
      .where('client_id', 'is', null)
      .orderBy('created_at')
      .execute()
    return rows.map(({ code, name, address, created_at, expires_at }) => ({
      code,
      name,
      address,
      createdAt: iso(created_at),
      expiresAt: iso(expires_at),
    }))
  }

  /** Returns who waits, and who it is from now on. */
  approve(code: string, name: string | undefined, areaIds: readonly string[]): Promise<{ id: string; clientId: string }> {
    const clientId = `client_${randomUUID()}`
    return this.#repository.write(async (trx, now) => {
      const pairing = await trx
        .updateTable('pairings')
        .set({ client_id: clientId })
        .where('code', '=', code.toUpperCase())
        .where('client_id', 'is', null)
        .where('expires_at', '>', now)
        .returning(['id', 'name'])
        .executeTakeFirst()
      if (!pairing) throw this.#refuse('PAIRING_NOT_FOUND')
      await this.#repository.admit(trx, now, clientId, name ?? pairing.name, areaIds)
      return { id: pairing.id, clientId }
    })
  }

  /** Returns who waits no longer. */
  async reject(code: string): Promise<string> {
    const gone = await this.#db
      .deleteFrom('pairings')
      .where('code', '=', code.toUpperCase())
      .where('client_id', 'is', null)
      .returning(['id', 'token_id'])
      .executeTakeFirst()
    if (!gone) throw this.#refuse('PAIRING_NOT_FOUND')
    await this.#clients.revoke({ jti: gone.token_id })
    return gone.id
  }

  /** What a device that waits is told once it is approved, every time that it asks until it has come with its token. */
  async completed(id: string): Promise<Completed | undefined> {
    const pairing = await this.#db
      .selectFrom('pairings')
      .select('client_id')
      .where('id', '=', id)
      .where('expires_at', '>', Date.now())
      .executeTakeFirst()
    const clientId = pairing?.client_id
    if (!clientId) return undefined
    const { areaIds } = await this.#repository.client(clientId)
    const { token } = await this.#clients.issue({
      subject: clientId,
      roles: ['client'],
      lifetimeS: this.#lifetimes.tokenLifetimeS,
    })
    return { token, clientId, assignedAreas: areaIds }
  }

  /** The client has come with its token: the secret is good no longer. */
  async close(clientId: string): Promise<void> {
    const open = await this.#db.selectFrom('pairings').select(['id', 'token_id']).where('client_id', '=', clientId).execute()
    for (const { id, token_id } of open) {
      await this.#clients.revoke({ jti: token_id })
      await this.#db.deleteFrom('pairings').where('id', '=', id).execute()
    }
  }
}
