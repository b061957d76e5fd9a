import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Socket } from 'socket.io-client'
import t, { type Test } from 'tap'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { type Heard, hear, until } from '../../../test/core/wire/lab.ts'

t.setTimeout(180_000)

async function start(t: Test, more: object = {}): Promise<TestHost> {
  const host = await startTestHost({ builtins: ['studio'], ...more })
  t.teardown(() => host.stop())
  await host.reached('studio', 'running')
  return host
}

/** A client and what it hears. */
async function come(host: TestHost, visit: Parameters<TestHost['visit']>[1]) {
  const client = await host.visit('studio', visit)
  const of = (event: string): Heard[] => client.heard.filter(([name]) => name === event).map(([, value]) => value)
  return { ...client, of }
}

/** A request of a producer, or of whoever has the token. */
const produce = async (host: TestHost, token: string, method: string, path: string, body?: object, prefix = '/studio') => {
  const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
  const answer = await fetch(`${host.url}${prefix}/api${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  return { status: answer.status, json: (await answer.json()) as Heard }
}

/** The client class of the document, to the letter. */
async function documentsClient(t: Test): Promise<new (url: string, token?: string) => Heard> {
  const text = await readFile(new URL('./websocket-client.txt', import.meta.url), 'utf8')
  const dir = t.testdir({ 'client.mjs': `const console = { log() {}, error() {} }\n${text}\nexport { WebSocketClient }\n` })
  const { WebSocketClient } = (await import(pathToFileURL(join(dir, 'client.mjs')).href)) as Heard
  return WebSocketClient
}

void t.test('the client of the document, as it stands, on a host that serves studio on /', async (t) => {
  const host = await start(t, { namespaces: { studio: '/' }, host: { namespace: '/pi' } })
  const WebSocketClient = await documentsClient(t)
  const open = (token?: string) => {
    const client = new WebSocketClient(host.url, token)
    t.teardown(() => client.disconnect())
    return { client, heard: hear(client as { socket: Socket }) }
  }
  const { client, heard } = open(await host.token('studio', []))
  await until(() => heard.some(([event]) => event === 'authenticated'))
  t.match(heard[0], ['welcome', { message: 'Welcome.', socketId: client.socket.id, serverTime: /^\d{4}-\d\d-\d\dT.*Z$/ }])
  t.match(heard[1], ['authenticated', { userId: 'alice', authenticatedAt: /Z$/ }])
  t.match(await client.joinRoom('project-123'), { success: true, room: 'project-123' })
  t.match(heard.at(-1), ['roomJoined', { room: 'project-123', success: true }])
  await t.rejects(client.joinRoom('secret'), { message: 'You may not join this room.' })
  t.ok((await client.ping()) >= 0)
  t.match(heard.at(-1), ['pong', { timestamp: Number }])

  const bad = open('nonsense')
  await until(() => bad.heard.some(([event]) => event === 'authError'))
  await until(() => bad.heard.some(([event]) => event === 'welcome'))
  t.ok(bad.client.socket.connected, 'it stays, as nobody')
  await t.rejects(bad.client.joinRoom('project-123'))
  t.ok((await bad.client.ping()) >= 0)

  const producer = await host.token('studio', ['producer'], { subject: 'backend' })
  t.match(await produce(host, producer, 'POST', '/rooms/project-123/update', { done: 1 }, ''), { status: 202 })
  await until(() => heard.some(([event]) => event === 'projectUpdate'))
  t.notOk(bad.heard.some(([event]) => event === 'projectUpdate'))
  client.disconnect()
  await until(() => !client.socket.connected)
})

void t.test('the snippets of the document: authenticate, info, heartbeat, logout', async (t) => {
  const host = await start(t)
  const client = await come(host, {})
  t.match(await client.ask('getConnectionInfo'), {
    success: true,
    socketId: client.socket.id,
    connected: true,
    rooms: [],
    authenticated: false,
  })
  t.match(await client.ask('authenticate', { token: 'bad' }), { success: false, error: 'This token is not valid.' })
  t.match(client.of('authError'), [{ message: 'This token is not valid.' }])
  t.match(await client.ask('authenticate', { token: await host.token('studio', []) }), { success: true, userId: 'alice' })
  t.match(client.of('authenticated'), [{ userId: 'alice' }])
  await client.ask('joinRoom', 'project-1')
  const info = await client.ask('getConnectionInfo')
  t.match(info, { authenticated: true, rooms: ['user:alice', 'project-1'], connectedAt: /Z$/ })

  t.match(await client.ask('heartbeat', { timestamp: Date.now() - 50 }), { success: true, timestamp: Number, serverTime: /Z$/ })
  const [{ latency }] = client.of('heartbeatAck')
  t.ok(latency >= 50 && latency < 60_000)
  t.match(await client.ask('heartbeat'), { latency: null })
  t.match(await client.ask('heartbeat', { timestamp: Date.now() + 600_000 }), { latency: null }, 'no latency is made up')

  t.match(await client.ask('leaveRoom', 'project-1'), { success: true, room: 'project-1' })
  t.match(client.of('roomLeft'), [{ room: 'project-1', success: true }])
  t.match(await client.ask('logout'), { success: true })
  t.equal(client.of('loggedOut').length, 1)
  t.match(await client.ask('getConnectionInfo'), { authenticated: false, rooms: [] })
  t.match(await client.ask('joinRoom', 'project-1'), { success: false, code: 'AUTH_REQUIRED' })

  // As another user he has left the rooms of the one before.
  await client.ask('authenticate', { token: await host.token('studio', [], { subject: 'bob' }) })
  await client.ask('joinRoom', 'project-2')
  await client.ask('authenticate', { token: await host.token('studio', [], { subject: 'carol' }) })
  t.match(await client.ask('getConnectionInfo'), { rooms: ['user:carol'] })
  t.match(await client.ask('joinRoom', 'user:bob'), { success: false, code: 'STUDIO_ROOM_CLOSED' })
})

for (const runIn of ['host', 'process'] as const)
  void t.test(`a report reaches the subscribers of its item alone, and never goes backwards (${runIn})`, async (t) => {
    const host = await start(t, { runIn })
    const [one, other, late] = await Promise.all(
      ['alice', 'bob', 'carol'].map((subject) => come(host, { roles: [], subject, group: 'media' })),
    )
    if (!one || !other || !late) throw new Error('nobody came')
    const worker = await host.token('studio', ['producer'], { subject: 'worker' })
    const report = (path: string, body?: object, method = 'POST') => produce(host, worker, method, `/media/${path}`, body)
    t.match(await one.ask('subscribeMedia', 'film 1'), { success: true, mediaId: 'film 1' })
    t.match(await other.ask('subscribeMedia', 'film 2'), { success: true })
    t.match(await report('film%201/progress', { progress: 40, stage: 'render' }), { status: 202, json: { success: true } })
    t.match(await report('film%201/progress', { progress: 30, stage: 'render' }), {
      status: 409,
      json: { code: 'STUDIO_BACKWARDS' },
    })
    t.match(await report('film%201/progress', { progress: 40, stage: 'encode', message: 'soon' }), { status: 202 })
    await until(() => one.of('mediaProgress').length === 2)
    t.strictSame(one.of('mediaProgress'), [
      { mediaId: 'film 1', progress: 40, stage: 'render' },
      { mediaId: 'film 1', progress: 40, stage: 'encode', message: 'soon' },
    ])
    t.match(await late.ask('subscribeMedia', 'film 1'), { success: true })
    t.strictSame(late.of('mediaProgress'), one.of('mediaProgress').slice(1), 'who is late gets the current stage before the ack')
    t.match(await one.ask('unsubscribeMedia', 'film 1'), { success: true, mediaId: 'film 1' })
    t.match(await report('film%201/complete', { url: 'https://x/y', metadata: { a: 1 } }), { status: 202 })
    await until(() => late.of('mediaComplete').length === 1)
    t.strictSame(late.of('mediaComplete'), [{ mediaId: 'film 1', url: 'https://x/y', metadata: { a: 1 } }])
    t.match(await report('film%201/progress', { progress: 99, stage: 'late' }), {
      status: 409,
      json: { code: 'STUDIO_FINISHED' },
    })
    t.match(await report('film%201/error', { error: 'late' }), { status: 409 })
    t.match(await report('film%202/error', { error: 'no disk', code: 'ENOSPC' }), { status: 202 })
    await until(() => other.of('mediaError').length === 1)
    t.strictSame(other.of('mediaError'), [{ mediaId: 'film 2', error: 'no disk', code: 'ENOSPC' }])
    t.match(await report('film%202', undefined, 'DELETE'), { status: 200 })
    t.match(await report('film%202/progress', { progress: 0, stage: 'again' }), { status: 202 })
    await other.ask('subscribeMedia', 'nothing yet')
    t.strictSame([one.of('mediaComplete'), one.of('mediaError'), other.of('mediaComplete')], [[], [], []])
  })

void t.test('a notification reaches a user wherever he is, and nobody else', async (t) => {
  const host = await start(t)
  const worker = await host.token('studio', ['producer'], { subject: 'worker' })
  const at = (subject: string) => come(host, { roles: [], subject, group: 'notifications' })
  const [desk, phone, bob] = [await at('alice'), await at('alice'), await at('bob')]
  const nobody = await come(host, { group: 'notifications' })
  await until(() => [desk, phone, bob].every((client) => client.of('authenticated').length === 1))
  const note = { userId: 'alice', type: 'success', title: 'Done', message: 'Ready.', data: { film: 1 } }
  const { status, json } = await produce(host, worker, 'POST', '/notifications', note)
  t.equal(status, 202)
  await until(() => desk.of('notification').length === 1 && phone.of('notification').length === 1)
  const { userId: _userId, ...told } = note
  t.match(desk.of('notification'), [{ ...told, id: json.id, timestamp: /Z$/ }])
  t.strictSame([bob.of('notification'), nobody.of('notification')], [[], []])
  t.match(await produce(host, worker, 'POST', '/notifications', { ...note, type: 'joke' }), { status: 400 })
})

void t.test('every command and route, by who asks', async (t) => {
  const host = await start(t)
  const anonymous = await come(host, {})
  const user = await come(host, { roles: ['user'] })
  const media = { anonymous: await come(host, { group: 'media' }), user: await come(host, { roles: [], group: 'media' }) }
  const codes = async (client: typeof user, commands: Array<[string, unknown?]>) =>
    Promise.all(commands.map(async ([name, payload]) => (await client.ask(name, payload)).code))
  const guarded: Array<[string, unknown?]> = [
    ['joinRoom', 'project-1'],
    ['leaveRoom', 'project-1'],
  ]
  const open: Array<[string, unknown?]> = [['ping'], ['heartbeat'], ['getConnectionInfo'], ['logout']]
  t.strictSame(await codes(anonymous, guarded), ['AUTH_REQUIRED', 'AUTH_REQUIRED'])
  t.strictSame(await codes(anonymous, open), [undefined, undefined, undefined, undefined])
  t.strictSame(await codes(user, [...guarded, ...open]), Array(6).fill(undefined))
  const watching: Array<[string, unknown?]> = [
    ['subscribeMedia', 'a'],
    ['unsubscribeMedia', 'a'],
  ]
  t.strictSame(await codes(media.anonymous, watching), ['AUTH_REQUIRED', 'AUTH_REQUIRED'])
  t.strictSame(await codes(media.user, watching), [undefined, undefined])

  const routes: Array<[string, string, object?]> = [
    ['POST', '/media/a/progress', { progress: 1, stage: 's' }],
    ['POST', '/media/a/complete', { url: 'u' }],
    ['POST', '/media/b/error', { error: 'e' }],
    ['DELETE', '/media/a'],
    ['POST', '/notifications', { userId: 'u', type: 'info', title: 't', message: 'm' }],
    ['POST', '/rooms/project-1/update', {}],
  ]
  const bearers = {
    forged: [401, `${await host.token('studio', ['producer'])}x`],
    'with another role': [403, await host.token('studio', ['user', 'admin'])],
    'without a role': [403, await host.token('studio', [])],
    producer: [0, await host.token('studio', ['producer'])],
  } as const
  for (const [who, [status, token]] of Object.entries(bearers))
    for (const [method, path, body] of routes) {
      const answer = await produce(host, token, method, path, body)
      t.ok(status === 0 ? answer.status < 300 : answer.status === status, `${method} ${path}, ${who}: ${answer.status}`)
    }
  const nobody = await fetch(`${host.url}/studio/api/notifications`, { method: 'POST' })
  t.equal(nobody.status, 401)
})

void t.test('rooms that a token names may be joined, and those that the settings open', async (t) => {
  const settings = { studio: { openRooms: ['lobby', 'team-*-open'], welcome: 'Hello.' } }
  const host = await start(t, { settings })
  const client = await come(host, { roles: [] })
  await until(() => client.of('welcome').length === 1)
  t.match(client.of('welcome'), [{ message: 'Hello.' }])
  for (const [room, isOpen] of Object.entries({
    lobby: true,
    'team-a-open': true,
    'team-a': false,
    'project-1': false,
    lobby2: false,
  }))
    t.equal((await client.ask('joinRoom', room)).success, isOpen, room)
})
