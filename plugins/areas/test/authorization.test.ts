import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { listen, refusal, startAreas } from './lab.ts'

t.setTimeout(240_000)

const contract = new URL('../../../dist/plugins/areas/contract.json', import.meta.url)
const areas = JSON.parse(readFileSync(contract, 'utf8')) as Contract & { routes: object }

/** A request for each route that would succeed if it is allowed; `$` stands for a fresh name. */
const requests: Readonly<Record<string, [path: string, body?: object, status?: number]>> = {
  'GET /api/auth/verify': ['auth/verify'],
  'GET /api/areas': ['areas'],
  'POST /api/areas': ['areas', { id: '$', name: 'New' }, 201],
  'PATCH /api/areas': ['areas', { ids: ['mine'], changes: { name: 'Mine' } }],
  'GET /api/areas/:id': ['areas/mine'],
  'PUT /api/areas/:id': ['areas/mine', { name: 'Mine' }],
  'PATCH /api/areas/:id': ['areas/mine', { name: 'Mine' }],
  'PATCH /api/areas/:id/toggle': ['areas/mine/toggle'],
  'DELETE /api/areas/:id': ['areas/doomed'],
  'GET /api/clients': ['clients'],
  'GET /api/clients/:id': ['clients/one'],
  'PUT /api/clients/:id/areas': ['clients/one/areas', { areaIds: ['mine'] }],
  'PUT /api/clients/:id/areas/:areaId': ['clients/one/areas/mine'],
  'DELETE /api/clients/:id/areas/:areaId': ['clients/two/areas/theirs'],
  'POST /api/clients/:id/revoke': ['clients/three/revoke'],
  'POST /api/pairing/requests': ['pairing/requests', {}, 201],
  'GET /api/pairing/requests': ['pairing/requests'],
  'POST /api/pairing/approve': ['pairing/approve', { code: 'AAAAAA', areaIds: [] }, 404],
  'POST /api/pairing/reject': ['pairing/reject', { code: 'AAAAAA' }, 404],
}
/** Beside admins. */
const open: Readonly<Record<string, readonly string[]>> = {
  'GET /api/auth/verify': ['client', 'pairing'],
  'GET /api/areas': ['client'],
  'GET /api/areas/:id': ['client'],
  'POST /api/pairing/requests': ['nobody', 'client', 'pairing', 'guest', 'expired', 'forged', 'unsigned', 'foreign'],
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(Date.now() / 1000)

void t.test('every route, for each who might ask', async (t) => {
  const { host, ask, admin, client, token, url } = await startAreas(t)
  for (const id of ['mine', 'theirs', 'doomed']) await admin('POST areas', { id, name: id })
  const one = await client('one', ['mine'])
  await client('two', ['theirs'])
  await client('three')
  const own = await readFile(join(host.dataDir, 'jwt/areas/key'), 'utf8').catch(() => '')
  const claims = { iss: 'patchbay', aud: 'areas', sub: 'alice', role: 'admin', iat: now(), exp: now() + 600 }
  const signed = (header: object, payload: object, key: string) => {
    const text = `${encode(header)}.${encode(payload)}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const tokens: Record<string, string | undefined> = {
    nobody: undefined,
    guest: await host.token('areas', ['guest'], { subject: 'one' }),
    pairing: await host.token('areas', ['pairing'], { subject: 'pairing_x' }),
    client: await token('one'),
    admin: await host.token('areas', ['admin']),
    forged: signed({ alg: 'HS256' }, claims, 'x'.repeat(32)),
    unsigned: `${encode({ alg: 'none' })}.${encode(claims)}.`,
    foreign: await host
      .token('areas', ['admin'])
      .then((good) => `${encode({ alg: 'RS256', jku: 'http://127.0.0.1:1/keys' })}.${good.split('.').slice(1).join('.')}`),
    ...(own && { expired: signed({ alg: 'HS256' }, { ...claims, exp: now() - 60 }, own.trim()) }),
  }
  t.same(Object.keys(requests).sort(), Object.keys(areas.routes).sort())
  let fresh = 0
  for (const [route, [path, body, status = 200]] of Object.entries(requests))
    for (const [who, bearer] of Object.entries(tokens)) {
      const text = body && JSON.parse(JSON.stringify(body).replaceAll('$', `area_${fresh++}`))
      const answer = await ask(bearer, `${route.split(' ')[0]} ${path}`, text)
      const isAllowed = who === 'admin' || open[route]?.includes(who)
      const isKnown = ['guest', 'pairing', 'client', 'admin'].includes(who)
      // Those of one address who have no token share a rate.
      const fits =
        answer.status === 429
          ? route === 'POST /api/pairing/requests'
          : answer.status === (isAllowed ? status : isKnown ? 403 : 401)
      t.ok(fits, `${who}: ${route} is answered ${answer.status}`)
    }
  t.match(await ask(tokens.client, 'GET areas'), { areas: [{ id: 'mine' }] })
  t.match(await ask(tokens.client, 'GET areas/theirs'), { status: 404, code: 'AREA_NOT_FOUND' }, 'another client’s area')
  for (const who of ['nobody', 'forged', 'unsigned', 'foreign', 'expired'])
    if (who in tokens) t.match((await refusal(listen(t, url, { token: tokens[who] }))).message, /^AUTH_/, who)
  // A token without a role that counts here is let in by no door: it is closed and told nothing.
  const guest = listen(t, url, { token: tokens.guest })
  await new Promise((resolve) => guest.socket.once('disconnect', resolve))
  t.same(guest.heard, [])
  t.ok(one.socket.connected)
})

void t.test('whatever is sent, it is answered with a code and nothing breaks', async (t) => {
  const { admin, ask, host, url, token, client } = await startAreas(t)
  await admin('POST areas', { id: 'mine', name: 'mine' })
  await client('one', ['mine'])
  const bearers = [undefined, await token('one'), await host.token('areas', ['admin'], { subject: 'fuzz' })]
  const paths = Object.keys(areas.routes).map((route) => route.replace('/api/', ''))
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.constantFrom(...bearers),
      fc.oneof(fc.string({ maxLength: 80 }), fc.constantFrom('mine', 'one', '..', '%00', '%2e%2e', '__proto__')),
      fc.jsonValue({ maxDepth: 4 }),
      async (path, bearer, name, body) => {
        const request = path.replaceAll(/:\w+/g, () => encodeURIComponent(name) || 'x')
        const isRead = request.startsWith('GET')
        const answer = await ask(bearer, request, isRead ? undefined : body)
        if (answer.status >= 500) throw new Error(`${request} is answered ${JSON.stringify(answer)}`)
      },
    ),
    { numRuns: 300, endOnFailure: true },
  )
  for (const auth of [{ lastEventId: 7 }, { lastEventId: 'x'.repeat(99) }, { acknowledge: 'yes' }]) {
    const odd = listen(t, url, { token: await token('two'), ...auth })
    await new Promise((resolve) => odd.socket.once('disconnect', resolve))
  }
  for (const auth of [{ lastEventId: '-1' }, { lastEventId: '1e3' }, { lastEventId: '__proto__' }]) await client('two', [], auth)
  await admin('POST areas', { id: 'hall', name: 'Hall' })
  const last = await client('last', ['hall'])
  last.socket.emit('area_updated', { areaId: 'hall' })
  last.socket.emit('connected', 'x', () => undefined)
  await admin('PUT areas/hall', { name: 'still here' })
  t.match(await last.next('area_updated'), { name: 'still here' })
  t.match(await host.reached('areas', 'running'), { state: 'running' })
  t.notMatch(host.log.join(''), /could not be (delivered|taken in)|does not fit its contract/)
})

void t.test('of a flood from one address ten are let in, and who comes from elsewhere meanwhile notices nothing', async (t) => {
  const { admin, url, token, client } = await startAreas(t)
  await admin('POST areas', { id: 'hall', name: 'Hall' })
  const before = await client('before', ['hall'])
  const bearer = await token('flood')
  const outcomes = Array.from({ length: 60 }, async () => {
    const { socket } = listen(t, url, { token: bearer }, { localAddress: '127.9.9.9' })
    return new Promise<string>((resolve) => {
      socket.once('connected', () => resolve('let in'))
      socket.once('connect_error', () => resolve('refused'))
    })
  })
  // Each of these rejects if it is not let in.
  const others = await Promise.all(Array.from({ length: 15 }, (_, i) => client(`calm${i}`)))
  for (const { id } of [{ id: 'calm0' }, { id: 'calm14' }]) await admin(`PUT clients/${id}/areas`, { areaIds: ['hall'] })
  t.match(await admin('PUT areas/hall', { name: 'In the flood' }), { status: 200 })
  for (const calm of [before, others[0], others[14]]) t.match(await calm?.next('area_updated'), { name: 'In the flood' })
  const counted = await Promise.all(outcomes)
  t.equal(counted.filter((outcome) => outcome === 'let in').length, 10)
  t.equal(counted.filter((outcome) => outcome === 'refused').length, 50)
  t.ok([before, ...others].every(({ socket }) => socket.connected))
  t.match(
    (await refusal(listen(t, url, { token: bearer }, { localAddress: '127.9.9.9' }))).message,
    /ACCESS_DENIED|websocket error/,
  )
})
