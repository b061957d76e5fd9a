import t from 'tap'
import { gone, listen, refusal, startAreas } from './lab.ts'

t.setTimeout(180_000)

for (const runIn of ['host', 'process'] as const)
  void t.test(`every event comes to the clients of the area and to nobody else, ${runIn}`, async (t) => {
    const { admin, client, url, token } = await startAreas(t, { runIn })
    for (const id of ['area_123', 'hall']) {
      const made = await admin('POST areas', { id, name: `The ${id}`, entityIds: [`light.${id}`] })
      t.match(made, { status: 201, success: true, area: { id, name: `The ${id}`, entityIds: [`light.${id}`], isEnabled: true } })
    }
    const [one, both, none] = await Promise.all([
      client('one', ['area_123']),
      client('both', ['area_123', 'hall']),
      client('none'),
    ])
    t.match(one.heard[0], {
      event: 'connected',
      data: { clientId: 'one', message: String, features: Array, timestamp: /^\d{4}-/ },
    })

    const updated = await admin('PUT areas/area_123', { name: 'Kitchen (Updated)' })
    t.match(updated, { status: 200, area: { name: 'Kitchen (Updated)', entityIds: ['light.area_123'] } })
    const told = {
      areaId: 'area_123',
      name: 'Kitchen (Updated)',
      entityIds: ['light.area_123'],
      isEnabled: true,
      message: 'Area has been updated by admin',
      timestamp: /^\d{4}-\d\d-\d\dT.*Z$/,
      eventId: String,
    }
    t.match(await one.next('area_updated'), told)
    t.match(await both.next('area_updated'), told)

    t.match(await admin('PATCH areas/area_123/toggle'), { area: { isEnabled: false } })
    t.match(await one.next('area_disabled'), { ...told, isEnabled: false, message: 'Area has been disabled by admin' })
    t.match(await admin('PATCH areas/area_123/toggle'), { area: { isEnabled: true } })
    t.match(await one.next('area_enabled'), { ...told, message: 'Area has been enabled by admin' })
    await admin('PATCH areas/hall', { entityIds: [] })
    t.match(await both.next('area_enabled'), { areaId: 'area_123' })
    t.match(await both.next('area_updated'), { areaId: 'hall', entityIds: [] })

    // Right after an assignment changes, in both directions.
    t.match(await admin('PUT clients/none/areas/hall'), { client: { areaIds: ['hall'], connections: 1 } })
    t.match(await admin('DELETE clients/both/areas/hall'), { client: { areaIds: ['area_123'] } })
    await admin('PATCH areas/hall', { name: 'Hall' })
    t.match(await none.next('area_added'), { areaId: 'hall', message: 'Area has been assigned to you by admin' })
    t.match(await none.next('area_updated'), { areaId: 'hall', name: 'Hall' })
    t.match(await admin('DELETE areas/area_123'), { status: 200, area: { id: 'area_123' } })
    t.match(await one.next('area_removed'), { ...told, message: 'Area has been removed by admin' })
    await both.next('area_removed')
    await both.next('area_removed')
    t.same(
      one.take(),
      ['area_updated', 'area_disabled', 'area_enabled', 'area_removed'].map((event) => `${event}:area_123`),
    )
    t.same(none.take(), ['area_added:hall', 'area_updated:hall'])
    t.same(both.take(), [
      'area_updated:area_123',
      'area_disabled:area_123',
      'area_enabled:area_123',
      'area_updated:hall',
      'area_removed:hall',
      'area_removed:area_123',
    ])

    // Revoked: told, then out, and not in again.
    const ended = gone(none)
    t.match(await admin('POST clients/none/revoke'), { client: { areaIds: [], revokedAt: String } })
    t.match(await none.next('token_revoked'), { message: String, timestamp: String })
    t.equal(await ended, 'io server disconnect')
    t.same(none.take().at(-1), 'token_revoked:')
    t.match(await admin('GET clients'), { clients: [{ id: /one|both|none/ }, {}, {}] })
    await new Promise((resolve) => setTimeout(resolve, 5))
    const again = listen(t, url, { token: await token('none') })
    await again.next('connected')
  })

void t.test('a token that was revoked does not come in again, nor ask anything', async (t) => {
  const { admin, client, ask, token, url } = await startAreas(t)
  const old = await token('tablet')
  await client('tablet')
  t.match(await ask(old, 'GET auth/verify'), { status: 200, valid: true, clientId: 'tablet', roles: ['client'] })
  await admin('POST clients/tablet/revoke')
  t.match(await refusal(listen(t, url, { token: old })), { message: 'AUTH_INVALID' })
  t.match(await ask(old, 'GET auth/verify'), { status: 401 })
  t.match(await ask(old, 'GET areas'), { status: 401 })
})

void t.test('what is refused says why', async (t) => {
  const { admin, client } = await startAreas(t)
  await admin('POST areas', { id: 'hall', name: 'Hall' })
  t.match(await admin('POST areas', { id: 'hall', name: 'Hall' }), { status: 409, code: 'AREA_EXISTS' })
  const one = await client('one', ['hall'])
  for (const request of ['PUT areas/none', 'PATCH areas/none'])
    t.match(await admin(request, { name: 'x' }), { status: 404, code: 'AREA_NOT_FOUND' })
  for (const request of [
    'GET areas/none',
    'PATCH areas/none/toggle',
    'DELETE areas/none',
    'PUT clients/one/areas/none',
    'DELETE clients/one/areas/none',
  ])
    t.match(await admin(request), { status: 404, code: 'AREA_NOT_FOUND' }, request)
  for (const request of ['GET clients/none', 'POST clients/none/revoke', 'PUT clients/none/areas/hall'])
    t.match(await admin(request), { status: 404, code: 'CLIENT_NOT_FOUND' }, request)
  t.match(await admin('PATCH areas', { ids: ['hall', 'none'], changes: { name: 'x' } }), { status: 404, code: 'AREA_NOT_FOUND' })
  t.match(await admin('PUT clients/one/areas', { areaIds: ['none'] }), { status: 404 })
  t.match(await admin('GET areas'), { areas: [{ id: 'hall', name: 'Hall' }] }, 'nothing of it has happened')
  t.match(await admin('GET clients/one'), { client: { areaIds: ['hall'] } })
  for (const body of [
    {},
    { name: '' },
    { name: 'a\0b' },
    { name: 1 },
    { nonsense: 1 },
    { entityIds: ['a b'] },
    { isEnabled: 'yes' },
  ])
    t.match(await admin('PATCH areas/hall', body), { status: 400, code: 'INVALID_PAYLOAD' }, JSON.stringify(body))
  t.same(one.take(), [])
})
