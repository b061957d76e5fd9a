// What clients are told of their areas, as it is written down for each of them.
import type { OpenStore } from 'patchbay/plugin'
import type { Tables } from './migrations.ts'

export type Db = OpenStore<Tables>['db']

export interface Area {
  readonly id: string
  readonly name: string
  readonly entityIds: string[]
  readonly isEnabled: boolean
  /** ISO 8601. */
  readonly createdAt: string
  readonly updatedAt: string
}

export type AreaEventName = 'area_added' | 'area_removed' | 'area_updated' | 'area_enabled' | 'area_disabled'

/** An event as it was written down for one client. */
export interface Posted {
  readonly clientId: string
  /** 1, 2, 3 … of that client. */
  readonly seq: number
  readonly event: AreaEventName
  readonly payload: object
  /** Common to the events of one change of several areas. */
  readonly batch: string | null
}

/** What a client is to be told. */
interface Wish {
  readonly clientId: string
  readonly event: AreaEventName
  readonly area: Area
}

const atOnce = 500
/** Events that are kept for each client. */
const history = 100

const messages: Readonly<Record<AreaEventName, string>> = {
  area_added: 'Area has been assigned to you by admin',
  area_removed: 'Area has been removed by admin',
  area_updated: 'Area has been updated by admin',
  area_enabled: 'Area has been enabled by admin',
  area_disabled: 'Area has been disabled by admin',
}

export const iso = (time: number): string => new Date(time).toISOString()

/** What was written down for a client after `seq`, in order. */
export async function eventsAfter(db: Db, clientId: string, seq: number): Promise<Posted[]> {
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('client_id', '=', clientId)
    .where('seq', '>', seq)
    .orderBy('seq')
    .execute()
  return rows.map(({ event, payload, batch, seq }) => ({
    clientId,
    seq,
    event: event as AreaEventName,
    payload: JSON.parse(payload) as object,
    batch,
  }))
}

/** How far each client has come; never backwards. */
export async function saveDelivered(db: Db, delivered: ReadonlyMap<string, number>): Promise<void> {
  const now = Date.now()
  await db.transaction().execute(async (trx) => {
    for (const [id, seq] of [...delivered].sort(([one], [other]) => (one < other ? -1 : 1)))
      await trx
        .updateTable('clients')
        .set((eb) => ({
          last_seen_at: now,
          delivered_seq: eb.case().when('delivered_seq', '<', seq).then(seq).else(eb.ref('delivered_seq')).end(),
        }))
        .where('id', '=', id)
        .execute()
  })
}

/** Tells those who have these areas. */
export async function tellHolders(
  trx: Db,
  now: number,
  event: AreaEventName,
  areas: readonly Area[],
  batch: string | null = null,
): Promise<Posted[]> {
  const wishes: Wish[] = []
  for (const area of areas) {
    const holders = await trx
      .selectFrom('assignments')
      .select('client_id')
      .where('area_id', '=', area.id)
      .orderBy('client_id')
      .execute()
    wishes.push(...holders.map(({ client_id }) => ({ clientId: client_id, event, area })))
  }
  return post(trx, now, wishes, batch)
}

/** Writes events down, numbered for each client; of each the latest are kept. */
export async function post(trx: Db, now: number, wishes: readonly Wish[], batch: string | null = null): Promise<Posted[]> {
  const counts = new Map<string, number>()
  for (const { clientId } of wishes) counts.set(clientId, (counts.get(clientId) ?? 0) + 1)
  const next = new Map<string, number>()
  for (const count of new Set(counts.values())) {
    const ids = [...counts].filter(([, each]) => each === count).map(([id]) => id)
    const rows = await byParts(ids, (part) =>
      trx
        .updateTable('clients')
        .set((eb) => ({ last_seq: eb('last_seq', '+', count) }))
        .where('id', 'in', part)
        .returning(['id', 'last_seq'])
        .execute(),
    )
    for (const { id, last_seq } of rows) next.set(id, last_seq - count + 1)
  }
  const posted = wishes.map(({ clientId, event, area: { id, name, entityIds, isEnabled } }) => {
    const seq = next.get(clientId) as number
    next.set(clientId, seq + 1)
    const payload = { areaId: id, name, entityIds, isEnabled, message: messages[event], timestamp: iso(now) }
    return { clientId, seq, event, payload, batch }
  })
  await byParts(posted, (part) =>
    trx
      .insertInto('events')
      .values(part.map(({ clientId, payload, ...rest }) => ({ client_id: clientId, ...rest, payload: JSON.stringify(payload) })))
      .execute(),
  )
  await byParts([...counts.keys()], (ids) =>
    trx
      .deleteFrom('events')
      .where('client_id', 'in', ids)
      .where('seq', '<=', (eb) =>
        eb
          .selectFrom('clients')
          .whereRef('clients.id', '=', 'events.client_id')
          .select((of) => of('clients.last_seq', '-', history).as('oldest')),
      )
      .execute(),
  )
  return posted
}

/** A statement takes only so many values. */
export async function byParts<T, R>(all: readonly T[], work: (part: T[]) => Promise<R[]>): Promise<R[]> {
  const results: R[] = []
  for (let at = 0; at < all.length; at += atOnce) results.push(...(await work(all.slice(at, at + atOnce))))
  return results
}
