import { randomUUID } from 'node:crypto'
import { type Area, byParts, type Db, eventsAfter, iso, type Posted, post, saveDelivered, tellHolders } from './events.ts'
import type { Tables } from './migrations.ts'

export type Changes = Partial<Pick<Area, 'name' | 'entityIds' | 'isEnabled'>>

export interface ClientRow {
  readonly id: string
  readonly name: string
  readonly areaIds: string[]
  readonly lastSeenAt: string | null
  readonly revokedAt: string | null
}

const most = { areas: 1000, clients: 10_000 }
const areaOf = (row: Tables['areas']): Area => ({
  id: row.id,
  name: row.name,
  entityIds: JSON.parse(row.entity_ids) as string[],
  isEnabled: row.is_enabled === 1,
  createdAt: iso(row.created_at),
  updatedAt: iso(row.updated_at),
})

/** What a change brings about: the areas as they are now, and what their clients are told. */
export interface Outcome {
  readonly areas: Area[]
  readonly posted: Posted[]
}

/** Areas, clients and what was told to them. Every change and the events that tell of it are one transaction. */
export class Repository {
  readonly #db: Db
  readonly #refuse: (code: 'AREA_NOT_FOUND' | 'AREA_EXISTS' | 'CLIENT_NOT_FOUND' | 'FULL') => Error

  readonly #newcomers = new Set<string>()
  #welcoming: Promise<void> | undefined
  #welcomed: Promise<void> = Promise.resolve()

  /** `refuse` makes the error that a request is answered with. */
  constructor(db: Db, refuse: (code: 'AREA_NOT_FOUND' | 'AREA_EXISTS' | 'CLIENT_NOT_FOUND' | 'FULL') => Error) {
    this.#db = db
    this.#refuse = refuse
  }

  /** All, or those of a client. */
  async areas(clientId?: string): Promise<Area[]> {
    let query = this.#db.selectFrom('areas').selectAll().orderBy('created_at').orderBy('id')
    if (clientId !== undefined)
      query = query.where('id', 'in', (eb) => eb.selectFrom('assignments').select('area_id').where('client_id', '=', clientId))
    return (await query.execute()).map(areaOf)
  }

  async area(id: string, clientId?: string): Promise<Area> {
    const [found] = (await this.areas(clientId)).filter((area) => area.id === id)
    if (!found) throw this.#refuse('AREA_NOT_FOUND')
    return found
  }

  create({
    id = `area_${randomUUID()}`,
    name,
    entityIds = [],
    isEnabled = true,
  }: Changes & { id?: string; name: string }): Promise<Area> {
    return this.#write(async (trx, now) => {
      const { count } = await trx
        .selectFrom('areas')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow()
      if (count >= most.areas) throw this.#refuse('FULL')
      const row = {
        id,
        name,
        entity_ids: JSON.stringify(entityIds),
        is_enabled: Number(isEnabled),
        created_at: now,
        updated_at: now,
      }
      const made = await trx
        .insertInto('areas')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .returning('id')
        .execute()
      if (made.length === 0) throw this.#refuse('AREA_EXISTS')
      return areaOf(row)
    })
  }

  /** Several at once if all are there; to their clients that is one change. */
  change(ids: readonly string[], { name, entityIds, isEnabled }: Changes): Promise<Outcome> {
    return this.#write(async (trx, now) => {
      const rows = await trx
        .updateTable('areas')
        .set({
          updated_at: now,
          ...(name !== undefined && { name }),
          ...(entityIds && { entity_ids: JSON.stringify(entityIds) }),
          ...(isEnabled !== undefined && { is_enabled: Number(isEnabled) }),
        })
        .where('id', 'in', [...ids])
        .returningAll()
        .execute()
      if (rows.length < ids.length) throw this.#refuse('AREA_NOT_FOUND')
      const areas = ids.flatMap((id) => rows.filter((row) => row.id === id)).map(areaOf)
      const batch = ids.length > 1 ? randomUUID() : null
      return { areas, posted: await tellHolders(trx, now, 'area_updated', areas, batch) }
    })
  }

  toggle(id: string): Promise<Outcome> {
    return this.#write(async (trx, now) => {
      const [row] = await trx
        .updateTable('areas')
        .set((eb) => ({ is_enabled: eb(eb.val(1), '-', eb.ref('is_enabled')), updated_at: now }))
        .where('id', '=', id)
        .returningAll()
        .execute()
      if (!row) throw this.#refuse('AREA_NOT_FOUND')
      const areas = [areaOf(row)]
      const event = row.is_enabled === 1 ? 'area_enabled' : 'area_disabled'
      return { areas, posted: await tellHolders(trx, now, event, areas) }
    })
  }

  remove(id: string): Promise<Outcome> {
    return this.#write(async (trx, now) => {
      const rows = await trx.selectFrom('areas').selectAll().where('id', '=', id).execute()
      if (rows.length === 0) throw this.#refuse('AREA_NOT_FOUND')
      const areas = rows.map(areaOf)
      const posted = await tellHolders(trx, now, 'area_removed', areas)
      await trx.deleteFrom('areas').where('id', '=', id).execute()
      return { areas, posted }
    })
  }

  async clients(): Promise<ClientRow[]> {
    return this.#clients(this.#db)
  }

  async client(id: string): Promise<ClientRow> {
    const [found] = await this.#clients(this.#db, id)
    if (!found) throw this.#refuse('CLIENT_NOT_FOUND')
    return found
  }

  /** Which areas a client has from now on: those that `choose` makes of what it has. */
  assign(clientId: string, choose: (has: readonly string[]) => readonly string[]): Promise<Posted[]> {
    return this.#write(async (trx, now) => {
      const [client] = await this.#clients(trx, clientId)
      if (!client || client.revokedAt !== null) throw this.#refuse('CLIENT_NOT_FOUND')
      const wanted = choose(client.areaIds)
      const [added, removed] = [
        wanted.filter((id) => !client.areaIds.includes(id)),
        client.areaIds.filter((id) => !wanted.includes(id)),
      ]
      const rows = await byParts([...added, ...removed], (ids) =>
        trx.selectFrom('areas').selectAll().where('id', 'in', ids).execute(),
      )
      const areas = new Map(rows.map((row) => [row.id, areaOf(row)]))
      const named = (ids: readonly string[]) =>
        ids.map((id) => {
          const area = areas.get(id)
          if (!area) throw this.#refuse('AREA_NOT_FOUND')
          return area
        })
      const wishes = [
        ...named(removed).map((area) => ({ clientId, event: 'area_removed' as const, area })),
        ...named(added).map((area) => ({ clientId, event: 'area_added' as const, area })),
      ]
      await byParts(removed, (ids) =>
        trx.deleteFrom('assignments').where('client_id', '=', clientId).where('area_id', 'in', ids).execute(),
      )
      await byParts(added, (ids) =>
        trx
          .insertInto('assignments')
          .values(ids.map((id) => ({ client_id: clientId, area_id: id })))
          .execute(),
      )
      return post(trx, now, wishes)
    })
  }

  /**
   * Who connects or asks with a client's token that was issued at `issuedAt`: made known if it is not. Undefined if the token was revoked.
   */
  async meet(id: string, issuedAt: number): Promise<{ readonly last: number; readonly delivered: number } | undefined> {
    const known = () => this.#db.selectFrom('clients').selectAll().where('id', '=', id).executeTakeFirst()
    const row = (await known()) ?? (await this.#welcome(id).then(known))
    if (!row) throw this.#refuse('FULL')
    if (row.revoked_at !== null && issuedAt <= row.revoked_at) return undefined
    return { last: row.last_seq, delivered: row.delivered_seq }
  }

  /** Those who come while others are written down are written down together: a disk takes its time for each time. */
  #welcome(id: string): Promise<void> {
    this.#newcomers.add(id)
    this.#welcoming ??= this.#welcomed.then(() => {
      const ids = [...this.#newcomers]
      this.#newcomers.clear()
      this.#welcoming = undefined
      const written = this.#write(async (trx, now) => {
        for (const each of ids) await this.#register(trx, now, each, each)
      })
      this.#welcomed = written.catch(() => undefined)
      return written
    })
    return this.#welcoming
  }

  /** A client that was paired, with areas. It is told of these by its pairing. */
  async admit(trx: Db, now: number, id: string, name: string, areaIds: readonly string[]): Promise<void> {
    if (!(await this.#register(trx, now, id, name))) throw this.#refuse('FULL')
    const found = await byParts(areaIds, (ids) => trx.selectFrom('areas').select('id').where('id', 'in', ids).execute())
    if (found.length < areaIds.length) throw this.#refuse('AREA_NOT_FOUND')
    await byParts(areaIds, (ids) =>
      trx
        .insertInto('assignments')
        .values(ids.map((areaId) => ({ client_id: id, area_id: areaId })))
        .execute(),
    )
  }

  /** Its tokens until now are bad. What it had is taken from it. */
  revoke(id: string): Promise<void> {
    return this.#write(async (trx, now) => {
      const changed = await trx.updateTable('clients').set({ revoked_at: now }).where('id', '=', id).returning('id').execute()
      if (changed.length === 0) throw this.#refuse('CLIENT_NOT_FOUND')
      await trx.deleteFrom('assignments').where('client_id', '=', id).execute()
      await trx.deleteFrom('events').where('client_id', '=', id).execute()
    })
  }

  /** What was written down for a client after `seq`, in order. */
  eventsAfter(clientId: string, seq: number): Promise<Posted[]> {
    return eventsAfter(this.#db, clientId, seq)
  }

  /** How far each client has come; never backwards. */
  saveDelivered(delivered: ReadonlyMap<string, number>): Promise<void> {
    return saveDelivered(this.#db, delivered)
  }

  /** A change, after all that were made before. */
  async #write<T>(work: (trx: Db, now: number) => Promise<T>): Promise<T> {
    return this.#db.transaction().execute(async (trx) => {
      await trx
        .updateTable('clock')
        .set((eb) => ({ ticks: eb('ticks', '+', 1) }))
        .execute()
      return work(trx, Date.now())
    })
  }

  /** For what else is kept. */
  readonly write = this.#write.bind(this)

  /** False if there are as many as there may be. */
  async #register(trx: Db, now: number, id: string, name: string): Promise<boolean> {
    const { count } = await trx
      .selectFrom('clients')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    if (count >= most.clients) return false
    const row = { id, name, created_at: now, last_seen_at: null, revoked_at: null, last_seq: 0, delivered_seq: 0 }
    // Another of its connections, or another host, may have been quicker.
    await trx
      .insertInto('clients')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    return true
  }

  async #clients(db: Db, id?: string): Promise<ClientRow[]> {
    let [rows, assignments] = [
      db.selectFrom('clients').selectAll().orderBy('created_at').orderBy('id'),
      db.selectFrom('assignments').selectAll(),
    ]
    if (id !== undefined) [rows, assignments] = [rows.where('id', '=', id), assignments.where('client_id', '=', id)]
    const areaIds = new Map<string, string[]>()
    for (const { client_id, area_id } of await assignments.orderBy('area_id').execute())
      areaIds.set(client_id, [...(areaIds.get(client_id) ?? []), area_id])
    return (await rows.execute()).map((row) => ({
      id: row.id,
      name: row.name,
      areaIds: areaIds.get(row.id) ?? [],
      lastSeenAt: row.last_seen_at === null ? null : iso(row.last_seen_at),
      revokedAt: row.revoked_at === null ? null : iso(row.revoked_at),
    }))
  }
}
