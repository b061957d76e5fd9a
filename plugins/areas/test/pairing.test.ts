import t from 'tap'
import { gone, listen, refusal, startAreas, until } from './lab.ts'

t.setTimeout(240_000)

void t.test(
  'a device asks for a code, the admin approves it with areas, the device gets its token and is a client',
  async (t) => {
    const { admin, ask, url } = await startAreas(t)
    await admin('POST areas', { id: 'hall', name: 'Hall' })
    const requested = await ask(undefined, 'POST pairing/requests', { name: 'Tablet' })
    const { code, secret } = requested as unknown as { code: string; secret: string }
    t.match(requested, { status: 201, success: true, code: /^[2-9A-HJ-NP-Z]{6}$/, secret: String, expiresAt: String })
    const device = listen(t, url, { token: secret })
    t.match(await device.next('connected'), { clientId: /^pairing_/ })
    t.match(await ask(secret, 'GET auth/verify'), { roles: ['pairing'] })
    for (const request of ['GET areas', 'GET clients', 'GET pairing/requests'])
      t.equal((await ask(secret, request)).status, 403, request)
    t.match(await admin('GET pairing/requests'), {
      requests: [{ code, name: 'Tablet', address: '127.0.0.1', createdAt: String, expiresAt: String }],
    })
    t.match(await admin('POST pairing/approve', { code, areaIds: ['none'] }), { status: 404, code: 'AREA_NOT_FOUND' })
    const approved = await admin('POST pairing/approve', { code: code.toLowerCase(), areaIds: ['hall'] })
    t.match(approved, { status: 200, client: { name: 'Tablet', areaIds: ['hall'] } })
    const completed = await device.next('pairing_completed')
    t.match(completed, { token: String, clientId: approved.client?.id, assignedAreas: ['hall'] })
    t.match(
      await admin('POST pairing/approve', { code, areaIds: [] }),
      { status: 404, code: 'PAIRING_NOT_FOUND' },
      'a code is good once',
    )
    t.match(await admin('GET pairing/requests'), { requests: [] })

    const ended = gone(device)
    const client = listen(t, url, { token: completed.token })
    t.match(await client.next('connected'), { clientId: completed.clientId })
    await ended
    t.match(await refusal(listen(t, url, { token: secret })), { message: 'AUTH_INVALID' }, 'the secret is good no longer')
    await admin('PUT areas/hall', { name: 'The hall' })
    t.match(await client.next('area_updated'), { areaId: 'hall', name: 'The hall', eventId: '1' })
  },
)

void t.test('a device that was not there when it was approved is told when it comes', async (t) => {
  const { admin, ask, url } = await startAreas(t)
  const { code, secret } = (await ask(undefined, 'POST pairing/requests', {})) as unknown as { code: string; secret: string }
  const { client } = await admin('POST pairing/approve', { code, name: 'Tablet', areaIds: [] })
  for (let i = 0; i < 2; i++) {
    const device = listen(t, url, { token: secret })
    t.match(await device.next('pairing_completed'), { clientId: client?.id, assignedAreas: [] })
    device.close()
  }
})

void t.test('a device that is rejected is sent away, and one whose code is too old', async (t) => {
  const { admin, ask, url, host } = await startAreas(t, { settings: { areas: { pairingLifetimeS: 30 } } })
  const { code, secret } = (await ask(undefined, 'POST pairing/requests', {})) as unknown as { code: string; secret: string }
  const device = listen(t, url, { token: secret })
  await device.next('connected')
  const ended = gone(device)
  t.match(await admin('POST pairing/reject', { code }), { status: 200, success: true })
  await ended
  t.match(await refusal(listen(t, url, { token: secret })), { message: 'AUTH_INVALID' })
  t.match(await admin('POST pairing/reject', { code }), { status: 404, code: 'PAIRING_NOT_FOUND' })
  // A pairing's token that has a second left.
  const short = await host.token('areas', ['pairing'], { subject: 'pairing_x', lifetimeS: 2 })
  const late = listen(t, url, { token: short })
  await late.next('connected')
  t.equal(await gone(late), 'io server disconnect')
})

void t.test('an address may ask five times a minute; guessing codes is of no use to nobody but an admin', async (t) => {
  const { ask, host, admin } = await startAreas(t)
  const answers = []
  for (let i = 0; i < 8; i++) answers.push(await ask(undefined, 'POST pairing/requests', {}))
  t.same(
    answers.map(({ status }) => status),
    [201, 201, 201, 201, 201, 429, 429, 429],
  )
  const client = await host.token('areas', ['client'], { subject: 'guesser' })
  const { code } = answers[0] as { code: string }
  for (const token of [undefined, client, (answers[1] as unknown as { secret: string }).secret])
    for (const path of ['approve', 'reject'])
      t.match((await ask(token, `POST pairing/${path}`, { code, areaIds: [] })).status, /40[13]/, 'not even with the right one')
  t.match(await admin('GET pairing/requests'), { requests: Array.from({ length: 5 }, () => ({})) })
  await until(async () => (await admin('GET clients')).status === 200)
})
