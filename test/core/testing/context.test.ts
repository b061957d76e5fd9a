import t from 'tap'
import { defineContract, definePlugin, Type } from '../../../core/plugin/index.ts'
import { createTestContext, fakeClients, fakeDBus, fakeExec } from '../../../core/testing/index.ts'

const contract = defineContract({
  id: 'lab',
  commands: {
    'lab:set': { payload: Type.Object({ to: Type.Integer() }, { additionalProperties: false }) },
    'lab:ask': { result: Type.Object({ said: Type.String() }) },
  },
  events: {
    'lab:value': { payload: Type.Integer(), retained: true },
    'lab:note': { payload: Type.String(), to: 'addressed' },
  },
  namespaces: { side: { commands: { 'lab:aside': {} } } },
  routes: { 'GET /value': {} },
  capabilities: { dbus: ['org.example.Lamp'], exec: ['lamp'] },
  settings: Type.Object({ first: Type.Integer({ default: 1 }) }, { additionalProperties: false }),
  errors: { LAB_STUCK: 'It is stuck.' },
})

const ended: string[] = []
const plugin = definePlugin(contract, {
  start(ctx) {
    ctx.own(() => void ended.push('owned'))
    ctx.publish('lab:value', ctx.settings.first)
    ctx.handle('lab:set', ({ to }, { caller, afterAck }) => {
      if (to > 9) throw ctx.error('LAB_STUCK', undefined, { retryAfter: 2 })
      ctx.publish('lab:value', to)
      ctx.send({ user: caller.userId }, 'lab:note', 'done')
      afterAck(() => ctx.log.info({ to }, 'after'))
    })
    ctx.handle('lab:ask', async () => {
      const { stdout } = await ctx.exec.run('lamp', ['--say'])
      return { said: stdout }
    })
    ctx.namespace('side').handle('lab:aside', () => ctx.publishError('LAB_STUCK'))
    ctx.serve('GET /value', ({ caller }) => ({ type: 'text/plain', body: caller.userId }))
    ctx.diagnose(() => [{ kind: 'tool', name: 'lamp', ok: true, optional: false, sentence: 'It is there.' }])
    ctx.onDisconnect((clientId) => void ended.push(`${clientId} left`))
    ctx.onHeard((userId) => void ended.push(`${userId} heard`))
    ctx.whileSubscribed((watch) => {
      watch.publish('lab:value', 100)
      return () => ended.push('work')
    })
  },
})

void t.test('start runs without a host, and what the plugin says is written down', async (t) => {
  const test = await createTestContext(contract, { settings: { first: 5 } })
  await test.start(plugin)
  t.equal(test.retained('lab:value'), 5)
  t.same(await test.call('lab:set', { to: 6 }, { userId: 'telegram:1' }), { success: true })
  t.same(test.published, [
    { event: 'lab:value', payload: 5 },
    { event: 'lab:value', payload: 6 },
    { event: 'lab:note', payload: 'done', to: 'user:telegram:1' },
  ])
  t.match(test.log, [{ level: 'info', fields: { to: 6 }, message: 'after' }])
  t.match(await test.call('lab:set', { to: 10 }), { success: false, code: 'LAB_STUCK', error: 'It is stuck.', retryAfter: 2 })
  t.match(await test.call('lab:set', { to: 'x' }), { success: false, code: 'INVALID_PAYLOAD' })
  await test.stop()
})

void t.test('the test plays the subscribers', async (t) => {
  ended.length = 0
  const test = await createTestContext(contract)
  await test.start(plugin)
  const value = test.next('lab:value')
  test.subscribe()
  t.equal(await value, 100)
  test.unsubscribe()
  test.hear('local:owner')
  test.disconnect('c1')
  await test.stop()
  t.same(ended, ['local:owner heard', 'c1 left', 'work', 'owned'])
  t.equal(test.retained('lab:value'), undefined)
})

void t.test('commands of further namespaces, routes and findings are asked as the host would', async (t) => {
  const test = await createTestContext(contract)
  await test.start(plugin)
  t.match(await test.call('lab:aside' as 'lab:set'), { success: true })
  t.same(test.errors, [{ code: 'LAB_STUCK', message: 'It is stuck.' }])
  t.same(await test.request('GET /value'), { type: 'text/plain', body: 'local:owner' })
  t.match(await test.diagnose(), [{ name: 'lamp', ok: true }])
  t.throws(() => test.call('lab:nothing' as 'lab:set'), { message: 'The contract of lab has no command "lab:nothing".' })
  await t.rejects(test.request('GET /none' as 'GET /value'), { message: 'Nothing serves "GET /none".' })
  await test.stop()
})

void t.test('it fails a start as the host would', async (t) => {
  const unfit = await createTestContext(contract, { settings: { second: 2 } })
  await t.rejects(unfit.start(plugin), { message: /Its settings in plugins\.json do not fit: .*"second"/ })
  const lazy = await createTestContext(contract)
  await t.rejects(lazy.start({ start: () => undefined }), { message: /declares the command lab:set, which it does not handle/ })
})

void t.test('a plugin that fails while it runs, or answers what it did not declare, is noticed', async (t) => {
  const small = defineContract({ id: 'lab', commands: { 'lab:ask': { result: Type.Object({ said: Type.String() }) } } })
  const test = await createTestContext(small)
  await test.start({
    start(ctx) {
      ctx.handle('lab:ask', () => {
        ctx.fail('It broke.')
        return { said: 1 as unknown as string }
      })
      ctx.own(() => {
        throw new Error('stuck')
      })
    },
  })
  t.match(await test.call('lab:ask'), { success: false, code: 'INTERNAL' })
  t.match(test.log[0]?.fields, { err: { message: /answered what its contract does not say/ } })
  t.equal(test.failure, 'It broke.')
  await t.rejects(test.stop(), { message: 'A release failed.' })
})

void t.test('fakes are asked for what the contract names, and what is not scripted does not go unnoticed', async (t) => {
  const exec = fakeExec({ 'lamp --say': { stdout: 'light' }, other: {} })
  const dbus = fakeDBus({})
  const test = await createTestContext(contract, { exec, dbus })
  await test.start(plugin)
  t.same(await test.call('lab:ask'), { success: true, said: 'light' })
  await t.rejects(test.context.exec.run('other', []), { code: 'EPERM' })
  await t.rejects(test.context.exec.start('other', []), { code: 'EPERM' })
  await (await test.context.exec.start('lamp', ['--say'])).stop()
  const foreign = { service: 'org.example.Other', path: '/', interface: 'org.example.Other', method: 'Get' }
  await t.rejects(test.context.dbus.call(foreign), { message: /does not name the D-Bus service org.example.Other/ })
  await t.rejects(test.context.exec.run('lamp', ['--off']), { message: /not scripted/ })
  await t.rejects(test.stop(), { message: /asked what the test did not script:\n"lamp --off" is not scripted/ })
})

void t.test('the test plays clients, whose rooms and tokens are kept', async (t) => {
  const club = defineContract({
    id: 'club',
    policy: 'jwt',
    anonymous: true,
    capabilities: { clients: true },
    handshake: Type.Object({ room: Type.Optional(Type.String()) }),
    commands: {
      join: { roles: ['*'], payload: Type.String(), result: Type.Object({ joined: Type.Boolean() }) },
      leave: { roles: ['*'], payload: Type.String() },
      say: { roles: ['*'], payload: Type.Any() },
      invite: { roles: ['*'], payload: Type.String(), result: Type.Object({ token: Type.String(), jti: Type.String() }) },
      login: {
        anonymous: true,
        payload: Type.String(),
        result: Type.Object({ as: Type.Optional(Type.String()), by: Type.String() }),
      },
      logout: { roles: ['*'] },
      expel: { roles: ['*'], payload: Type.Any() },
      void: { roles: ['*'], payload: Type.Any() },
      ask: { roles: ['*'], payload: Type.String(), result: Type.Object({ said: Type.String(), all: Type.Integer() }) },
    },
    events: { note: { to: 'addressed', payload: Type.String() } },
  })
  const left: string[] = []
  const heard: unknown[] = []
  const plugin = definePlugin(club, {
    start(ctx) {
      const { clients } = ctx
      ctx.onDisconnect((id) => void left.push(id))
      clients.onPeer((value) => void heard.push(value))
      clients.onConnect(async ({ clientId, auth, roles }) => {
        if (roles.includes('trouble')) throw new Error('trouble')
        if (typeof auth.room === 'string') await clients.join(clientId, auth.room)
        ctx.send({ client: clientId }, 'note', 'hello')
      })
      ctx.handle('join', async (room, { caller }) => ({ joined: await clients.join(caller.clientId, room) }))
      ctx.handle('leave', async (room, { caller }) => clients.leave(caller.clientId, room))
      ctx.handle('say', async (target) => {
        ctx.send(target as { room: string }, 'note', 'dinner')
        await clients.tellPeers('dinner')
      })
      ctx.handle('invite', async (subject) => {
        const { token, jti } = await clients.issue({ subject, roles: ['guest'], lifetimeS: 60 })
        return { token, jti }
      })
      ctx.handle('login', async (token, { caller }) => ({
        as: (await clients.identify(caller.clientId, token))?.userId ?? '',
        by: (await clients.verify(token)).userId,
      }))
      ctx.handle('logout', async (_, { caller }) => clients.anonymize(caller.clientId))
      ctx.handle('expel', async (target) => clients.disconnect(target as { user: string }))
      ctx.handle('void', async (what) => clients.revoke(what as { jti: string }))
      ctx.handle('ask', async (id) => ({
        said: String(await clients.ask(id, 'note', 'well?', 100)),
        all: (await clients.list()).length,
      }))
    },
  })
  const clients = fakeClients((id, _event, payload) => (id === 'bob' ? `${payload} Well.` : undefined))
  const test = await createTestContext(club, { clients })
  const early = await clients.connect({ userId: 'jwt:early', auth: { room: 'kitchen' } })
  await test.start(plugin)
  const bob = await clients.connect({ clientId: 'bob', userId: 'jwt:bob', roles: ['guest'], auth: { room: 'kitchen' } })
  t.match(bob, { clientId: 'bob', isAnonymous: false, rooms: ['kitchen'] }, 'what onConnect did is done')
  const guest = await clients.connect()
  t.match(guest, { isAnonymous: true, userId: /^anonymous:/, roles: [], group: '' })
  t.same(test.published.at(-1), { event: 'note', payload: 'hello', to: guest.clientId })
  t.match(await clients.connect({ roles: ['trouble'], clientId: 'ill' }), { clientId: 'ill' })
  t.match(await clients.connect({ auth: { room: 7 }, clientId: 'odd' }), { clientId: 'odd' })
  t.same(clients.closed, ['ill', 'odd'])

  const said = async (target: { room: string } | { user: string }) => {
    await test.call('say', target)
    return clients.reachedBy(target)
  }
  t.same(await said({ room: 'kitchen' }), [early.clientId, 'bob'])
  t.same(await said({ user: 'jwt:bob' }), ['bob'])
  await test.call('leave', 'kitchen', early)
  t.same(await said({ room: 'kitchen' }), ['bob'])
  t.match(await test.call('join', 'kitchen', { clientId: 'nobody' }), { joined: false })
  t.match(await test.call('join', 'kitchen', guest), { joined: true })
  t.same(await said({ room: 'kitchen' }), ['bob', guest.clientId])
  t.same(clients.told, ['dinner', 'dinner', 'dinner', 'dinner'])
  clients.hear('supper')
  t.same(heard, ['supper'])

  t.match(await test.call('ask', 'bob'), { said: 'well? Well.', all: 3 })
  t.match(await test.call('ask', guest.clientId), { success: false, code: 'TIMEOUT' })
  t.match(await test.call('login', 'no token', guest), { success: false, code: 'AUTH_INVALID' })
  const { token, jti } = await test.call('invite', 'carol')
  t.match(await test.call('login', token, guest), { as: 'jwt:carol', by: 'jwt:carol' })
  t.same(await said({ user: 'jwt:carol' }), [guest.clientId])
  await test.call('logout', undefined, guest)
  t.same(await said({ user: 'jwt:carol' }), [])
  await test.call('login', token, guest)
  await test.call('void', { jti })
  t.same(clients.closed.at(-1), guest.clientId)
  t.match(await test.call('login', token, { clientId: 'bob' }), { code: 'AUTH_INVALID' })
  const { token: other } = await test.call('invite', 'dave')
  await test.call('login', other, early)
  await test.call('void', { subject: 'dave' })
  t.same(clients.closed.at(-1), early.clientId)
  await test.call('expel', { user: 'jwt:bob' })
  t.same(clients.closed.at(-1), 'bob')
  const last = await clients.connect({ userId: 'jwt:last' })
  clients.leave(last.clientId)
  clients.leave(last.clientId)
  t.same(left, ['ill', 'odd', guest.clientId, early.clientId, 'bob', last.clientId])
  await test.stop()
})
