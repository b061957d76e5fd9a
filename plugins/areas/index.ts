import { definePlugin } from 'patchbay/plugin'
import { areas } from './contract.ts'
import { Delivery } from './delivery.ts'
import { iso, type Posted } from './events.ts'
import { migrations, type Tables } from './migrations.ts'
import { Pairings } from './pairings.ts'
import { type Outcome, Repository } from './repository.ts'
import { clientIdOf, Visitors } from './visitors.ts'

export default definePlugin(areas, {
  async start(ctx) {
    const { db } = await ctx.store.open<Tables>(migrations)
    const refuse = (code: Parameters<typeof ctx.error>[0]) => ctx.error(code, undefined, { status: statuses[code] ?? 404 })
    const repository = new Repository(db, refuse)
    const pairings = new Pairings(db, repository, ctx.clients, refuse, ctx.settings)
    const delivery = ctx.own(
      new Delivery({
        repository,
        retryMs: ctx.settings.retryMs,
        send: (client, event, payload) => ctx.send({ client }, event as 'area_updated', payload as never),
        ask: (client, event, payload, timeoutMs) => ctx.clients.ask(client, event, payload, timeoutMs),
        close: (client) => void ctx.clients.disconnect({ client }).catch(() => undefined),
        onError: (err) => ctx.log.error({ err }, 'events could not be delivered'),
      }),
    )
    const visitors = new Visitors({ ctx, repository, pairings, delivery })
    ctx.own(ctx.clients.onConnect((client) => visitors.receive(client)))
    ctx.onDisconnect((clientId) => delivery.remove(clientId))

    const tell = (posted: readonly Posted[]) => {
      delivery.post(posted)
      if (posted.length > 0)
        void ctx.clients.tellPeers(posted).catch((err: unknown) => ctx.log.warn({ err }, 'other hosts were not told'))
    }
    ctx.own(ctx.clients.onPeer((posted) => delivery.post(posted as Posted[])))
    const one = ({ areas: [area], posted }: Outcome) => {
      tell(posted)
      if (!area) throw refuse('AREA_NOT_FOUND')
      return { json: { success: true, area } }
    }
    const client = async (id: string) => {
      const found = await repository.client(id)
      return { json: { success: true, client: { ...found, connections: delivery.connections(id) } } }
    }

    ctx.serve('GET /api/auth/verify', async ({ caller }) => {
      await visitors.mustBeGood(caller)
      const expiresAt = iso(Number(caller.claims.exp) * 1000)
      return { json: { success: true, valid: true, clientId: clientIdOf(caller), roles: [...caller.roles], expiresAt } }
    })
    ctx.serve('GET /api/areas', async ({ caller }) => ({
      json: { success: true, areas: await repository.areas(await visitors.ownOnly(caller)) },
    }))
    ctx.serve('GET /api/areas/:id', async ({ caller, params }) => ({
      json: { success: true, area: await repository.area(params.id, await visitors.ownOnly(caller)) },
    }))
    ctx.serve('POST /api/areas', async ({ body }) => ({
      status: 201,
      json: { success: true, area: await repository.create(body) },
    }))
    ctx.serve('PATCH /api/areas', async ({ body: { ids, changes } }) => {
      const { areas, posted } = await repository.change(ids, changes)
      tell(posted)
      return { json: { success: true, areas } }
    })
    ctx.serve('PUT /api/areas/:id', async ({ params, body }) => one(await repository.change([params.id], body)))
    ctx.serve('PATCH /api/areas/:id', async ({ params, body }) => one(await repository.change([params.id], body)))
    ctx.serve('PATCH /api/areas/:id/toggle', async ({ params }) => one(await repository.toggle(params.id)))
    ctx.serve('DELETE /api/areas/:id', async ({ params }) => one(await repository.remove(params.id)))

    ctx.serve('GET /api/clients', async () => {
      const clients = (await repository.clients()).map((row) => ({ ...row, connections: delivery.connections(row.id) }))
      return { json: { success: true, clients } }
    })
    ctx.serve('GET /api/clients/:id', ({ params }) => client(params.id))
    const assign = async (id: string, choose: Parameters<Repository['assign']>[1]) => {
      tell(await repository.assign(id, choose))
      return client(id)
    }
    ctx.serve('PUT /api/clients/:id/areas', ({ params, body }) => assign(params.id, () => [...new Set(body.areaIds)]))
    ctx.serve('PUT /api/clients/:id/areas/:areaId', ({ params: { id, areaId } }) =>
      assign(id, (has) => [...new Set([...has, areaId])]),
    )
    ctx.serve('DELETE /api/clients/:id/areas/:areaId', async ({ params: { id, areaId } }) => {
      await repository.area(areaId)
      return assign(id, (has) => has.filter((each) => each !== areaId))
    })
    ctx.serve('POST /api/clients/:id/revoke', async ({ params }) => {
      await repository.revoke(params.id)
      await visitors.dismiss(params.id)
      return client(params.id)
    })

    ctx.serve('POST /api/pairing/requests', async ({ body, address }) => ({
      status: 201,
      json: { success: true, ...(await pairings.request(body.name ?? 'A new device', address)) },
    }))
    ctx.serve('GET /api/pairing/requests', async () => ({ json: { success: true, requests: await pairings.list() } }))
    ctx.serve('POST /api/pairing/approve', async ({ body }) => {
      const { id, clientId } = await pairings.approve(body.code, body.name, [...new Set(body.areaIds)])
      await visitors.completePairing(id)
      return client(clientId)
    })
    ctx.serve('POST /api/pairing/reject', async ({ body }) => {
      await ctx.clients.disconnect({ user: `jwt:${await pairings.reject(body.code)}` })
      return { json: { success: true } }
    })
  },
})

const statuses: Readonly<Record<string, number>> = { AREA_EXISTS: 409, FULL: 409, PAIRING_FULL: 429, CLIENT_REVOKED: 401 }
