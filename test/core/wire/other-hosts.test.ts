import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startTestHost, type TestHost, type TestHostOptions } from '../../../core/testing/host.ts'
import { PrivatePostgres } from '../../support/postgres.ts'
import { temporary } from '../lifecycle/lab.ts'
import { writePackage } from '../process/package.ts'
import { startLab, until } from './lab.ts'

t.setTimeout(180_000)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** A redis-server of Debian's package; undefined where there is none. */
async function startRedis(t: Test, port: number): Promise<{ stop(): Promise<void> } | undefined> {
  const dir = await temporary(t)
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--dir', dir]
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const failed = once(server, 'error').then(() => false)
  const ready = new Promise<boolean>((resolve) => {
    server.stdout.on('data', (text) => String(text).includes('Ready to accept connections') && resolve(true))
  })
  if (!(await Promise.race([failed, ready]))) return undefined
  const stop = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return
    server.kill('SIGKILL')
    await once(server, 'exit')
  }
  t.teardown(stop)
  return { stop }
}

interface Jti {
  readonly jti: string
}

const text = { type: 'string' }
const contract: Contract = {
  id: 'club',
  policy: 'jwt',
  capabilities: { clients: true },
  commands: {
    join: { roles: ['*'], payload: text },
    say: { roles: ['*'], payload: { type: 'object' } },
    all: { roles: ['*'], payload: text },
    out: { roles: ['*'], payload: { type: 'object' } },
    revoke: { roles: ['admin'], payload: { type: 'object' } },
  },
  events: { note: { payload: text, to: 'addressed' }, news: { payload: text } },
}
const body = `
  ctx.handle('join', async (room, { caller }) => { await ctx.clients.join(caller.clientId, room) })
  ctx.handle('say', ({ target, text }) => ctx.send(target, 'note', text))
  ctx.handle('all', (text) => ctx.publish('news', text))
  ctx.handle('out', async (target) => { await ctx.clients.disconnect(target) })
  ctx.handle('revoke', async (what) => { await ctx.clients.revoke(what) })
`

async function startClub(t: Test, redisUrl: string, more: Partial<TestHostOptions> = {}): Promise<TestHost> {
  const dir = await writePackage(join(await temporary(t), 'club'), contract, body)
  const host = await startTestHost({ plugins: [dir], redisUrl, ...more })
  t.teardown(() => host.stop())
  await host.reached('club', 'running')
  return host
}

void t.test('what is said to a user or a room reaches those on other hosts, also after Redis was away', async (t) => {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  let redis = await startRedis(t, port)
  if (!redis) throw new Error('redis-server is not installed; scripts/test.sh installs it')
  const [one, other] = [await startClub(t, url), await startClub(t, url)]
  const [alice, bob] = [await one.visit('club', { roles: [] }), await other.visit('club', { roles: [], subject: 'bob' })]
  const heard = ({ heard }: typeof alice, event = 'note') => heard.filter(([name]) => name === event).map(([, value]) => value)

  await alice.ask('say', { target: { user: 'jwt:bob' }, text: 'to bob' })
  await until(() => heard(bob).length === 1, 'bob heard nothing', 20_000)
  await bob.ask('join', 'kitchen')
  await alice.ask('join', 'kitchen')
  await alice.ask('say', { target: { room: 'kitchen' }, text: 'dinner' })
  t.strictSame(heard(alice), ['dinner'], 'here it comes before the ack')
  await until(() => heard(bob).length === 2, 'bob missed dinner', 20_000)
  t.strictSame(heard(bob), ['to bob', 'dinner'])
  await alice.ask('all', 'news')
  t.strictSame(heard(alice, 'news'), ['news'])

  // What each machine says of itself stays on it.
  const [owner, viewer] = [await one.client('owner'), await other.client('viewer')]
  await viewer.ask('module:subscribe', { module: 'host' })
  let changes = 0
  viewer.socket.on('host:plugins', () => changes++)
  await owner.ask('host:disable', { id: 'club' })
  await owner.ask('host:enable', { id: 'club' })

  await redis.stop()
  await until(
    () => [one, other].every(({ log }) => log.some((line) => line.includes('Redis is away'))),
    'nobody missed Redis',
    20_000,
  )
  await alice.ask('say', { target: { room: 'kitchen' }, text: 'in the dark' })
  t.strictSame(heard(alice).at(-1), 'in the dark', 'those who are here hear it all the same')
  redis = await startRedis(t, port)
  await until(
    () => [one, other].every(({ log }) => log.some((line) => line.includes('Redis is there again'))),
    'not back',
    20_000,
  )
  await until(
    () => {
      void alice.ask('say', { target: { user: 'jwt:bob' }, text: 'light' })
      return heard(bob).includes('light')
    },
    'bob heard nothing afterwards',
    30_000,
  )
  t.strictSame(heard(bob, 'news'), [], 'what is not addressed stays on its host')
  t.equal(changes, 0)

  const gone = once(bob.socket as never, 'disconnect')
  await alice.ask('out', { user: 'jwt:bob' })
  t.strictSame((await gone)[0], 'io server disconnect')
  t.ok(alice.socket.connected)
  await one.stop()
  t.ok(viewer.socket.connected, 'a host that ends takes nobody of the others along')
})

void t.test('a token that one host revoked is refused by every host, also while what they share was away', async (t) => {
  const [port, postgres] = [await freePort(), new PrivatePostgres(t)]
  const { url: storeUrl } = await postgres.start()
  const redis = await startRedis(t, port)
  const ownKeyFile = join(await temporary(t), 'key')
  await writeFile(ownKeyFile, 'a key that all hosts have, of more than 32 bytes', { mode: 0o600 })
  const start = () => startClub(t, `redis://127.0.0.1:${port}`, { storeUrl, auth: { club: { ownKeyFile } } })
  const [one, other] = [await start(), await start()]
  const admin = await one.visit('club', { roles: ['admin'], subject: 'admin' })
  const isLetIn = async (host: TestHost, token: string) => {
    const visitor = await host.visit('club', { auth: { token } }).catch(({ message }: Error) => message)
    if (typeof visitor !== 'string') visitor.socket.close()
    return visitor === 'AUTH_INVALID' ? false : visitor
  }
  const refusedBy = async (host: TestHost, token: string) => {
    // Whoever comes has his host look again at what it knows.
    for (const end = Date.now() + 60_000; (await isLetIn(one, token)) || (await isLetIn(host, token)); await delay(250))
      if (Date.now() > end) throw new Error('it is let in all the same')
  }
  const comesIn = async (host: TestHost) => {
    for (const end = Date.now() + 60_000; !(await isLetIn(host, await tokenOf('dave'))); await delay(250))
      if (Date.now() > end) throw new Error('nobody is let in')
  }
  const tokenOf = (subject: string) => one.token('club', ['guest'], { subject })
  const jtiOf = (token: string) => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Jti).jti

  // While one of them is connected to the other host.
  const [alice, bob, carol] = [await tokenOf('alice'), await tokenOf('bob'), await tokenOf('carol')]
  const bobThere = await other.visit('club', { auth: { token: bob } })
  const aliceThere = await other.visit('club', { auth: { token: alice } })
  const gone = new Promise((resolve) => aliceThere.socket.once('disconnect', resolve))
  t.match(await admin.ask('revoke', { jti: jtiOf(alice) }), { success: true })
  t.equal(await gone, 'io server disconnect')
  t.notOk(await isLetIn(one, alice))
  t.notOk(await isLetIn(other, alice))
  t.ok(await isLetIn(other, await tokenOf('alice')), 'another token of hers is good')
  t.ok(bobThere.socket.connected)

  // With nowhere to keep it for the others.
  await postgres.stop()
  t.match(await admin.ask('revoke', { subject: 'carol' }), { success: false })
  t.notOk(await isLetIn(one, carol), 'it counts where it was asked for')
  await until(() => other.log.some((line) => line.includes('what another host revoked cannot be read')), 'not told', 20_000)
  t.notOk(await isLetIn(other, carol), 'who cannot know lets nobody in')
  await postgres.start()
  await refusedBy(other, carol)
  await comesIn(other)

  // With nobody to tell of it.
  await redis?.stop()
  t.match(await admin.ask('revoke', { subject: 'bob' }), { success: true })
  await refusedBy(other, bob)
  const bobGone = new Promise((resolve) => bobThere.socket.once('disconnect', resolve))
  t.ok(bobThere.socket.connected)
  t.ok(await isLetIn(other, await tokenOf('bob')), 'what is issued afterwards is good')

  await startRedis(t, port)
  t.equal(await bobGone, 'io server disconnect', 'it hears of it when it can')
  const late = await start()
  for (const token of [alice, bob, carol]) t.notOk(await isLetIn(late, token), 'a host that comes later knows')
  t.ok(await isLetIn(late, await tokenOf('dave')))
})

void t.test('a host whose Redis cannot be reached does not start, and says why', async (t) => {
  const url = `redis://:secret@127.0.0.1:${await freePort()}`
  const start = startLab(t, [], { redisUrl: url } as never)
  await t.rejects(start, { message: /^Redis \(PATCHBAY_REDIS_URL\) cannot be reached: (?!.*secret)/ })
})
