import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { TestHost } from '../../../core/testing/host.ts'
import { sourceChild, startWith } from '../process/package.ts'
import { dial, type Heard, once, refusal, until } from './lab.ts'

t.setTimeout(180_000)

const text = { type: 'string' }
const often = { max: 10_000, windowMs: 1000 }
const contract: Contract = {
  id: 'gate',
  policy: 'jwt',
  anonymous: true,
  capabilities: { clients: true },
  handshake: { type: 'object', properties: { since: { type: 'integer' } }, additionalProperties: false },
  refusals: { AUTH_INVALID: 'authError', SESSION_EXPIRED: 'authError' },
  commands: {
    authenticate: { anonymous: true, payload: text, rate: often },
    logout: { roles: ['*'] },
    who: { anonymous: true, rate: often },
    any: { roles: ['*'] },
    admin: { roles: ['admin', 'chief'] },
    join: { roles: ['*'], payload: text },
    leave: { roles: ['*'], payload: text },
    tell: { anonymous: true, payload: { type: 'object' } },
    ask: { roles: ['*'], payload: text },
    list: { roles: ['*'] },
    out: { roles: ['*'], payload: { type: 'object' } },
    revoke: { roles: ['*'], payload: { type: 'object' } },
    issue: { roles: ['admin'], payload: { type: 'object' } },
    verify: { roles: ['*'], payload: text },
  },
  events: {
    welcome: { payload: { type: 'object' }, to: 'addressed' },
    authError: { to: 'addressed', payload: { type: 'object' } },
    note: { payload: text, to: 'addressed' },
    news: { payload: text },
    all: { payload: text, to: 'connected' },
    kept: { payload: text, retained: true },
  },
  namespaces: {
    closed: {
      events: { hello: { payload: text, to: 'addressed' } },
      commands: { here: { roles: ['*'] }, leave: { roles: ['*'] } },
    },
  },
  routes: {
    'GET /api/me': { roles: ['*'] },
    'GET /api/open': { anonymous: true },
    'POST /api/lamps': {
      roles: ['admin'],
      body: { type: 'object', properties: { name: text }, required: ['name'], additionalProperties: false },
      result: { type: 'object', properties: { name: text }, required: ['name'] },
    },
    'PUT /api/lamps/:id': {
      roles: ['admin'],
      params: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
      query: { type: 'object', properties: { dry: { type: 'boolean', default: false } }, additionalProperties: false },
      body: { type: 'object' },
    },
    'GET /api/lamps/all': { roles: ['*'] },
    'DELETE /api/lamps/:id': {
      roles: ['admin'],
      params: { type: 'object', properties: { id: text } },
      rate: { max: 2, windowMs: 60_000 },
    },
  },
  errors: { LAMP_GONE: 'There is no such lamp.' },
}

const body = `
  const { clients } = ctx
  const met = []
  clients.onConnect(async (client) => {
    met.push(client)
    if (client.claims.trouble) throw new Error('trouble')
    if (client.group === '') ctx.send({ client: client.clientId }, 'welcome', client)
    else ctx.namespace('closed').send({ client: client.clientId }, 'hello', client.userId)
  })
  ctx.publish('kept', 'a secret for those who are known')
  ctx.handle('authenticate', async (token, { caller }) => ({ userId: (await clients.identify(caller.clientId, token)).userId }))
  ctx.namespace('closed').handle('leave', async (_, { caller }) => { await clients.anonymize(caller.clientId) })
  ctx.handle('logout', async (_, { caller }) => { await clients.anonymize(caller.clientId) })
  ctx.handle('who', (_, { caller }) => ({ caller }))
  ctx.handle('any', () => ({ any: true }))
  ctx.handle('admin', () => ({ admin: true }))
  ctx.handle('join', async (room, { caller }) => ({ joined: await clients.join(caller.clientId, room), rooms: (await clients.get(caller.clientId)).rooms }))
  ctx.handle('leave', async (room, { caller }) => { await clients.leave(caller.clientId, room) })
  ctx.handle('tell', ({ target, text }) => {
    if (target) ctx.send(target, 'note', text)
    else { ctx.publish('news', text); ctx.publish('all', text) }
  })
  ctx.handle('ask', async (id) => ({ said: await clients.ask(id, 'note', 'well?', 500) }))
  ctx.handle('list', async () => ({ ids: (await clients.list()).map(({ clientId }) => clientId), nobody: (await clients.get('no such')) === undefined }))
  ctx.handle('out', async (target) => { await clients.disconnect(target) })
  ctx.handle('revoke', async (what) => { await clients.revoke(what) })
  ctx.handle('issue', async (request) => clients.issue(request))
  ctx.handle('verify', async (token) => clients.verify(token))
  ctx.namespace('closed').handle('here', () => ({ here: true }))
  ctx.serve('GET /api/me', ({ caller, address, path }) => ({ json: { ...caller, address, path } }))
  ctx.serve('GET /api/open', ({ caller }) => ({ json: { userId: caller.userId, roles: caller.roles } }))
  ctx.serve('POST /api/lamps', ({ body }) => ({ status: 201, json: body.name === 'odd' ? {} : body }))
  ctx.serve('PUT /api/lamps/:id', ({ params, query, body }) => ({ json: { params, query, body } }))
  ctx.serve('GET /api/lamps/all', ({ query }) => ({ json: query }))
  ctx.serve('DELETE /api/lamps/:id', ({ params }) => { throw ctx.error('LAMP_GONE', 'There is no lamp ' + params.id + '.', { status: 404 }) })
`

async function start(t: Test, runIn: 'host' | 'process'): Promise<TestHost> {
  const host = await startWith(t, contract, body, { runIn, ...(runIn === 'process' && { child: sourceChild }) })
  const { state, reason } = await host.reached('gate', 'running', 'failed')
  t.equal(state, 'running', reason ?? '')
  return host
}

/** A client of the gate that is let in, and what it heard first. */
async function come(t: Test, host: TestHost, auth: object = {}, headers?: Record<string, string>) {
  const socket = dial(t, host, auth, { ...(headers && { extraHeaders: headers }) }, '/gate')
  const heard: Array<[string, Heard]> = []
  socket.onAny((event, value) => heard.push([event, value]))
  const [welcome] = await once(socket, 'welcome')
  const ask = (name: string, payload?: unknown): Promise<Heard> =>
    socket.timeout(10_000).emitWithAck(name, ...(payload === undefined ? [] : [payload]))
  const of = (event: string) => heard.filter(([name]) => name === event).map(([, value]) => value)
  return { socket, welcome, ask, heard, of }
}

for (const runIn of ['host', 'process'] as const) {
  const where = runIn === 'host' ? '' : ', of a plugin in a process of its own'

  void t.test(`who has no token enters where that is allowed, and reaches what is marked for it${where}`, async (t) => {
    const host = await start(t, runIn)
    const stranger = await come(t, host)
    t.match(stranger.welcome, {
      userId: 'anonymous:127.0.0.1',
      isAnonymous: true,
      roles: [],
      claims: {},
      group: '',
      isKnown: false,
    })
    t.match(await stranger.ask('who'), {
      success: true,
      caller: { userId: 'anonymous:127.0.0.1', roles: [], namespace: '/gate' },
    })
    for (const name of ['any', 'admin', 'logout', 'list'])
      t.match(await stranger.ask(name), { success: false, code: 'AUTH_REQUIRED' }, name)
    t.match(await refusal(t, host, {}, {}, '/gate/closed'), { message: 'AUTH_REQUIRED' })
    t.match(await refusal(t, host, { token: 'nonsense' }, {}, '/gate/closed'), { message: 'AUTH_INVALID' })

    const known = await come(t, host, { token: await host.token('gate', ['user']), since: 7 })
    t.match(known.welcome, { userId: 'jwt:alice', isAnonymous: false, roles: ['user'], auth: { since: 7 } })
    t.notOk('token' in known.welcome.auth)
    t.match(await known.ask('any'), { success: true, any: true })
    t.match(await known.ask('admin'), { success: false, code: 'FORBIDDEN' })
    const chief = await come(t, host, { token: await host.token('gate', ['user', 'chief']) })
    t.match(await chief.ask('admin'), { success: true, admin: true })

    // What goes to all is for those who are known; what is addressed is the plugin's affair.
    t.match(await stranger.ask('tell', { text: 'news' }), { success: true })
    t.match(await stranger.ask('tell', { target: { client: stranger.socket.id }, text: 'to you' }), { success: true })
    await until(() => known.of('all').length === 1 && stranger.of('note').length === 1)
    t.strictSame(known.of('news'), ['news'])
    t.strictSame(known.of('kept'), ['a secret for those who are known'])
    t.strictSame([stranger.of('news'), stranger.of('all'), stranger.of('kept')], [[], [], []])

    const aside = dial(t, host, { token: await host.token('gate', []) }, {}, '/gate/closed')
    t.strictSame(await once(aside, 'hello'), ['jwt:alice'])
    const left = once(aside, 'disconnect')
    aside.emit('leave')
    t.match(await once(aside, 'error'), [{ code: 'SESSION_EXPIRED' }], 'nobody is anonymous there')
    await left
    const others = await host.client('owner')
    t.match(await others.ask('module:subscribe', { module: 'gate' }), { success: false, code: 'MODULE_NOT_FOUND' })
  })

  void t.test(`a client authenticates later, and logs out again${where}`, async (t) => {
    const host = await start(t, runIn)
    const client = await come(t, host, { token: 'nonsense' })
    t.match(client.welcome, { isAnonymous: true, refusal: 'This token is not valid.' })
    t.match(client.of('authError'), [{ code: 'AUTH_INVALID', message: 'This token is not valid.' }], 'its token was bad')
    t.match(await client.ask('authenticate', 'nonsense too'), { success: false, code: 'AUTH_INVALID' })
    t.equal(client.of('authError').length, 2)
    t.match(await client.ask('authenticate', await host.token('gate', ['admin'])), { success: true, userId: 'jwt:alice' })
    t.match(await client.ask('admin'), { success: true })
    t.match(await client.ask('who'), { caller: { userId: 'jwt:alice', roles: ['admin'] } })
    t.strictSame(client.of('kept').length, 1, 'it hears the plugin now')
    await client.ask('tell', { target: { user: 'jwt:alice' }, text: 'alice' })
    t.strictSame(client.of('note'), ['alice'])
    t.match(await client.ask('logout'), { success: true })
    t.match(await client.ask('admin'), { success: false, code: 'AUTH_REQUIRED' })
    await client.ask('tell', { target: { user: 'jwt:alice' }, text: 'alice' })
    await client.ask('tell', { text: 'news' })
    t.strictSame([client.of('note'), client.of('news')], [['alice'], []])
    t.match(await client.ask('authenticate', await host.token('gate', [], { subject: 'bob' })), { userId: 'jwt:bob' })
    t.match(await client.ask('admin'), { success: false, code: 'FORBIDDEN' })
  })

  void t.test(`rooms, questions, and the door${where}`, async (t) => {
    const host = await start(t, runIn)
    const token = await host.token('gate', ['user'])
    const [one, other] = [
      await come(t, host, { token }),
      await come(t, host, { token: await host.token('gate', [], { subject: 'bob' }) }),
    ]
    t.match(await one.ask('join', 'kitchen'), { joined: true, rooms: ['kitchen'] })
    t.match(await other.ask('join', 'cellar'), { joined: true, rooms: ['cellar'] })
    await other.ask('tell', { target: { room: 'kitchen' }, text: 'dinner' })
    t.match(await one.ask('who'), { success: true })
    t.strictSame([one.of('note'), other.of('note')], [['dinner'], []])
    await one.ask('leave', 'kitchen')
    await other.ask('tell', { target: { room: 'kitchen' }, text: 'late' })
    await one.ask('who')
    t.strictSame(one.of('note'), ['dinner'])
    t.match(await one.ask('join', ''), { success: false })

    const { ids, nobody } = await one.ask('list')
    t.strictSame([new Set(ids), nobody], [new Set([one.socket.id, other.socket.id]), true])
    other.socket.on('note', (_text, ack) => ack?.({ heard: true }))
    t.match(await one.ask('ask', other.socket.id), { said: { heard: true } })
    other.socket.off('note')
    t.match(await one.ask('ask', other.socket.id), { success: false, code: 'TIMEOUT' })
    t.match(await one.ask('ask', 'no such'), { success: false, code: 'TIMEOUT' })

    const gone = once(other.socket, 'disconnect')
    await one.ask('out', { user: 'jwt:bob' })
    t.strictSame((await gone)[0], 'io server disconnect')
    t.match(await one.ask('out', { nonsense: 1 }), { success: false, code: 'INTERNAL' })

    // What a client sends in its handshake is what the contract says, or it is closed; so is one that the plugin cannot take in.
    const odd = dial(t, host, { token, since: 'ever' }, {}, '/gate')
    const closed = once(odd, 'disconnect')
    t.match(await once(odd, 'error'), [{ code: 'INVALID_PAYLOAD', message: /handshake: since must be integer/ }])
    await closed
    const chief = await come(t, host, { token: await host.token('gate', ['admin']) })
    const { token: trouble } = await chief.ask('issue', { subject: 'eve', roles: [], lifetimeS: 60, claims: { trouble: true } })
    t.match(await once(dial(t, host, { token: trouble }, {}, '/gate'), 'error'), [{ code: 'INTERNAL' }])
  })

  void t.test(`a token that was revoked or has expired ends what was done with it${where}`, async (t) => {
    const host = await start(t, runIn)
    const chief = await come(t, host, { token: await host.token('gate', ['admin'], { subject: 'chief' }) })
    const issue = (more: object = {}): Promise<Heard> =>
      chief.ask('issue', { subject: 'eve', roles: ['user'], lifetimeS: 60, ...more })
    const [first, second] = [await issue(), await issue()]
    const [eve, twin] = [await come(t, host, { token: first.token }), await come(t, host, { token: second.token })]
    t.match(await chief.ask('verify', first.token), { userId: 'jwt:eve', roles: ['user'], claims: { jti: first.jti } })
    const gone = once(eve.socket, 'disconnect')
    t.match(await chief.ask('revoke', { jti: first.jti }), { success: true })
    await gone
    t.match(eve.of('error'), [{ code: 'SESSION_EXPIRED' }])
    t.match(eve.of('authError'), [{ code: 'SESSION_EXPIRED' }])
    t.match(await chief.ask('verify', first.token), { success: false, code: 'AUTH_INVALID', error: 'This token was revoked.' })
    t.match(await twin.ask('any'), { success: true }, 'her other token is as good as before')
    const closed = once(twin.socket, 'disconnect')
    await chief.ask('revoke', { subject: 'eve' })
    await closed
    t.match(await chief.ask('verify', second.token), { success: false })
    t.match(await chief.ask('verify', (await issue()).token), { success: true }, 'what is issued afterwards is good')

    const brief = await come(t, host, { token: (await issue({ lifetimeS: 1 })).token })
    await once(brief.socket, 'disconnect')
    t.match(brief.of('error'), [{ code: 'SESSION_EXPIRED' }])
    t.match(await chief.ask('issue', { subject: 'two words', roles: [], lifetimeS: 60 }), { success: false, code: 'INTERNAL' })
  })

  void t.test(`routes take what their schemas say from those whom their contract names${where}`, async (t) => {
    const host = await start(t, runIn)
    const [admin, user] = [await host.token('gate', ['admin']), await host.token('gate', ['user'], { subject: 'bob' })]
    const call = async (method: string, path: string, token?: string, given?: unknown, headers: object = {}) => {
      const answer = await fetch(`${host.url}/gate${path}`, {
        method,
        headers: {
          ...headers,
          ...(token && { authorization: `Bearer ${token}` }),
          ...(given !== undefined && { 'content-type': 'application/json' }),
        },
        ...(given !== undefined && { body: typeof given === 'string' ? given : JSON.stringify(given) }),
      })
      return { status: answer.status, json: (await answer.json().catch(() => undefined)) as Heard, headers: answer.headers }
    }
    t.match(await call('GET', '/api/me'), { status: 401, json: { success: false, code: 'AUTH_REQUIRED' } })
    t.match(await call('GET', '/api/me', 'nonsense'), { status: 401, json: { code: 'AUTH_INVALID' } })
    const me = await call('GET', '/api/me', user)
    t.match(me, { status: 200, json: { userId: 'jwt:bob', roles: ['user'], address: '127.0.0.1', path: '/api/me' } })
    t.notMatch(JSON.stringify(me.json), user)
    t.match(me.headers.get('content-security-policy'), /^sandbox/)
    t.strictSame([me.headers.get('x-content-type-options'), me.headers.get('access-control-allow-origin')], ['nosniff', null])
    t.match(await call('GET', '/api/open'), { status: 200, json: { userId: 'anonymous:127.0.0.1' } })
    t.match(await call('GET', '/api/open', 'nonsense'), { status: 200, json: { userId: 'anonymous:127.0.0.1' } })
    t.match(await call('GET', '/api/open', user), { status: 200, json: { userId: 'jwt:bob' } })

    t.match(await call('POST', '/api/lamps', user, { name: 'a' }), { status: 403, json: { code: 'ACCESS_DENIED' } })
    t.match(await call('POST', '/api/lamps', admin, { name: 'a' }), { status: 201, json: { name: 'a' } })
    t.match(await call('POST', '/api/lamps', admin, { name: 1 }), {
      status: 400,
      json: { code: 'INVALID_PAYLOAD', error: /^body: name must/ },
    })
    t.match(await call('POST', '/api/lamps', admin), { status: 400 })
    t.match(await call('POST', '/api/lamps', admin, '{"name":'), { status: 400 })
    t.match(await call('POST', '/api/lamps', admin, { name: 'a'.repeat(70_000) }), { status: 413 })
    t.match(
      await call('POST', '/api/lamps', admin, { name: 'odd' }),
      { status: 500, json: { code: 'INTERNAL' } },
      'its answer is not what it says',
    )
    t.strictSame((await call('PUT', '/api/lamps/7?dry=true', admin, { a: 1 })).json, {
      params: { id: 7 },
      query: { dry: true },
      body: { a: 1 },
    })
    t.strictSame((await call('PUT', '/api/lamps/7', admin, {})).json.query, { dry: false })
    t.match(await call('PUT', '/api/lamps/x', admin, {}), { status: 400, json: { error: /^params: id must be integer/ } })
    t.match(await call('PUT', '/api/lamps/7?wet=1', admin, {}), { status: 400, json: { error: /^query: / } })
    t.match(await call('GET', '/api/lamps/all?a=1', user), { status: 200, json: { a: '1' } })
    t.match(await call('GET', '/api/lamps/7', admin), { status: 404 })
    t.match(await call('PUT', '/api/lamps/', admin, {}), { status: 404 })
    t.match(await call('DELETE', '/api/lamps/%41%2Fb', admin), {
      status: 404,
      json: { code: 'LAMP_GONE', error: 'There is no lamp A/b.' },
    })
    t.match(await call('DELETE', '/api/lamps/%zz', admin), { status: 400 })
    await call('DELETE', '/api/lamps/1', admin)
    t.match(await call('DELETE', '/api/lamps/1', admin), { status: 429, json: { code: 'RATE_LIMITED' } })
    t.match(await call('GET', '/api/me', user, undefined, { 'service-worker': 'script' }), { status: 404 })
    t.match(await call('GET', '/api/me', user, undefined, { origin: 'https://evil.example' }), { status: 403 })
  })
}

void t.test('a plugin that was restarted is told who is there, and that it knew them', async (t) => {
  const host = await start(t, 'process')
  const client = await come(t, host, { token: await host.token('gate', ['user']) })
  await client.ask('join', 'kitchen')
  const owner = await host.client('owner')
  const again = once(client.socket, 'welcome')
  await owner.ask('host:restart', { id: 'gate' })
  t.match(await again, [{ isKnown: true, rooms: ['kitchen'], userId: 'jwt:alice' }])
})

void t.test('an address may connect as often in a minute as the contract says', async (t) => {
  const host = await startWith(t, { ...contract, connectionsPerMinute: 3 }, body, { runIn: 'host' })
  const token = await host.token('gate', ['user'])
  for (let i = 0; i < 3; i++) await come(t, host, { token })
  const { message, data } = await refusal(t, host, { token }, {}, '/gate')
  t.equal(message, 'ACCESS_DENIED')
  t.match(data, { reason: 'Too many connections from your address within a minute.' })
  t.ok(data.retryAfter > 0 && data.retryAfter <= 60)
  t.ok((await host.client('owner')).socket.connected, 'other namespaces are open')
})
