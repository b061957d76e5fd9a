import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { startTestHost, type TestClient, type TestHost } from '../../../core/testing/host.ts'

interface Entry {
  readonly n: number
  readonly time: string
  readonly kind: string
  readonly [field: string]: unknown
}

async function start(t: Test): Promise<TestHost> {
  const host = await startTestHost({ builtins: ['audit'] })
  t.teardown(() => host.stop())
  await host.reached('audit', 'running')
  return host
}

/** Subscribes, does something, and resolves with the first live entry that fits. */
async function heard(owner: TestClient, fits: (entry: Entry) => boolean, work: () => unknown): Promise<Entry> {
  const entry = owner.next<Entry>('audit:entry', fits)
  await work()
  return entry
}

const recent = async (owner: TestClient, payload?: object) => (await owner.ask('audit:recent', payload)).entries as Entry[]
const plain = ({ n, time, ...rest }: Entry) => rest

void t.test('logins, commands, denials and changes are written, and an owner sees them as they come', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner', 1)
  t.match(await owner.ask('module:subscribe', { module: 'audit' }), { success: true, state: 'running' })

  let viewer: TestClient | undefined
  const login = await heard(
    owner,
    ({ kind, userId }) => kind === 'login' && userId === 'telegram:2',
    async () => {
      viewer = await host.client('viewer', 2)
    },
  )
  t.match(login, { by: 'telegram', address: '127.0.0.1', session: String, n: Number, time: /^2\d{3}-.*Z$/ })
  const client = viewer as TestClient

  const denied = await heard(
    owner,
    ({ result }) => result === 'FORBIDDEN',
    () => client.ask('host:enable', { id: 'system' }),
  )
  t.match(denied, {
    kind: 'command',
    userId: 'telegram:2',
    module: 'host',
    command: 'host:enable',
    session: login.session,
    id: String,
  })
  t.match(await client.ask('module:subscribe', { module: 'audit' }), { success: false, code: 'FORBIDDEN' })
  t.match(await client.ask('audit:recent'), { success: false, code: 'FORBIDDEN' })

  const done = await heard(
    owner,
    ({ result }) => result === 'OK',
    () => owner.ask('host:restart', { id: 'audit' }),
  )
  t.match(done, { kind: 'command', userId: 'telegram:1', command: 'host:restart' }, 'told by the audit that started again')

  const changed = await heard(
    owner,
    ({ kind }) => kind === 'config',
    () => host.allow(3, 'operator'),
  )
  t.match(plain(changed), { kind: 'config', file: 'access', changes: [/telegram:3|users\/3/] })
  const ended = await heard(
    owner,
    ({ kind }) => kind === 'session_ended',
    () => owner.ask('host:revoke', { id: login.session }),
  )
  t.match(plain(ended), { kind: 'session_ended', why: 'revoked', userId: 'telegram:2', session: login.session })

  const entries = await recent(owner, { limit: 500 })
  t.same(
    entries.map(({ n }) => n),
    entries.map((_, nth) => (entries[0]?.n ?? 0) - nth),
    'newest first, without a gap',
  )
  for (const entry of [login, denied, changed, ended])
    t.match(
      entries.find(({ n }) => n === entry.n),
      entry,
    )
  t.same(await recent(owner, { limit: 2, before: ended.n }), entries.filter(({ n }) => n < ended.n).slice(0, 2))
  t.same(
    entries.filter(({ command }) => command === 'module:subscribe').map(({ result }) => result),
    ['FORBIDDEN'],
    'subscribing is recorded only where it was refused',
  )
})

void t.test('what was refused at the door is written', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner', 1)
  await owner.ask('module:subscribe', { module: 'audit' })
  const stranger = io(host.url, {
    auth: { initData: host.initData(99) },
    transports: ['websocket'],
    reconnection: false,
    forceNew: true,
  })
  t.teardown(() => stranger.close())
  const entry = await heard(
    owner,
    ({ kind }) => kind === 'refused',
    () => undefined,
  )
  t.match(entry, { code: 'ACCESS_DENIED', address: '127.0.0.1' })
})

void t.test('no payload, token or password is in the file', async (t) => {
  const host = await start(t)
  const owner = await host.client('owner', 1)
  const password = 'open sesame'
  await owner.ask('host:enable', { id: password })
  await owner.ask('host:disable', { id: password.repeat(10) })
  await owner.ask('host:nonsense', { password })
  await host.host.stop()
  const text = await readFile(join(host.dataDir, 'host/audit/audit.log'), 'utf8')
  t.match(text, '"command":"host:enable","result":"HOST_NO_PLUGIN"')
  t.match(text, '"command":"host:disable","result":"INVALID_PAYLOAD"')
  for (const secret of [password, owner.sessionToken, host.botToken]) t.notMatch(text, secret)
})
