import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import t from 'tap'
import { Config } from '../../core/config/config.ts'
import { Host } from '../../core/host.ts'
import { askDaemon } from '../../core/http/control.ts'
import { createLog } from '../../core/log.ts'
import { startTestHost, type TestHost } from '../../core/testing/host.ts'
import { deferred, startLab, temporary, writePlugin } from './lifecycle/lab.ts'

const get = (host: TestHost, path: string, token?: string) =>
  fetch(`${host.url}${path}`, token ? { headers: { authorization: `Bearer ${token}` } } : {})

/** Polls what no event tells. */
async function until(is: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await is()); tries++) {
    if (tries === 500) throw new Error('it did not come about')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

void t.test('/readyz says when it serves, /plugins shows states, start-up times and problems to who has a session', async (t) => {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  await host.reached('host', 'running')
  const ready = await get(host, '/readyz')
  t.equal(ready.status, 200)
  t.same(await ready.json(), { ready: true })
  t.equal((await get(host, '/plugins')).status, 401)
  const { sessionToken } = await host.client('viewer')
  const overview = (await (await get(host, '/plugins', sessionToken)).json()) as { plugins: Array<{ id: string }> }
  t.match(
    overview.plugins.find(({ id }) => id === 'host'),
    { state: 'running' },
  )
  t.match(
    overview.plugins.find(({ id }) => id === 'storage'),
    { state: 'disabled' },
  )
  t.match(overview, {
    boot: [
      { name: 'data directory', reason: /one daemon/, ms: Number },
      { name: 'safe mode' },
      { name: 'sessions' },
      { name: 'http' },
    ],
    startMs: { host: Number },
    configProblems: [],
  })
})

void t.test('a stock client loses a host that stops, after the answers that are due, and comes back by itself', async (t) => {
  const gate = deferred()
  const start = (context: { handle(name: string, work: () => unknown): void }) =>
    context.handle('last:word', () => {
      gate.resolve()
      return new Promise(() => {})
    })
  const host = await startLab(t, [{ contract: { id: 'last', commands: { 'last:word': {} } }, start }])
  const { sessionToken } = await host.client('owner')
  const socket = io(host.url, { auth: { sessionToken }, transports: ['websocket'], forceNew: true, reconnectionDelay: 50 })
  t.teardown(() => socket.close())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  const left = new Promise((resolve) => socket.once('disconnect', resolve))
  const tries = new Promise((resolve) => socket.io.once('reconnect_attempt', resolve))
  const answered = socket.emitWithAck('last:word')
  await gate.promise
  await host.stop()
  t.match(await answered, { success: false, code: 'MODULE_UNAVAILABLE' })
  t.equal(await left, 'transport close')
  await tries
})

void t.test('a client that comes as soon as the port is open finds every namespace and module', async (t) => {
  const gate = deferred()
  const contract = { id: 'slow', namespaces: { side: { events: { 'slow:value': { retained: true } } } } }
  const host = await startLab(t, [{ contract, start: () => gate.promise }])
  const client = await host.client('viewer')
  t.match(await client.ask('module:subscribe', { module: 'slow' }), { success: true, state: 'starting' })
  const side = io(`${host.url}/side`, { auth: { sessionToken: client.sessionToken }, transports: ['websocket'], forceNew: true })
  t.teardown(() => side.close())
  await new Promise((resolve, reject) => side.once('connect', () => resolve(undefined)).once('connect_error', reject))
  gate.resolve()
  await host.reached('slow', 'running')
})

void t.test(
  'an error is laid at the door of the plugin that is nearest in its stack, not of one that its text names',
  async (t) => {
    const errors: Error[] = []
    const start = () => void errors.push(new Error('text from outside'))
    const host = await startLab(t, [{ contract: { id: 'thrower' }, start }], { pace: { retryMs: 60_000 } })
    await host.reached('thrower', 'running')
    const dir = join(host.pluginDir, 'thrower')
    t.equal(host.host.blame(new Error(`at ${dir}/index.js\n${dir}/`)), false)
    t.equal(host.host.blame('a text'), false)
    t.equal(host.host.blame(errors[0]), true)
    t.match(await host.reached('thrower', 'failed'), { reason: 'An exception nobody caught: text from outside' })
    t.equal(host.host.blame(errors[0]), true, 'and it is no matter of the host that it had failed already')
  },
)

void t.test('host.json takes effect while it runs: port, log level, message size, plugin directories', async (t) => {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  const client = await host.client('owner')
  const extra = await temporary(t)
  await writePlugin(join(extra, 'late'), { contract: { id: 'late' }, start: () => undefined })
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const before = host.url

  await host.writeConfig('host', { port, pluginDirs: [extra] })
  await host.reached('late', 'disabled')
  t.equal(host.host.url, before, 'a port that is taken leaves it where it was')
  t.match(host.log.join(''), /cannot listen as host\.json says/)
  t.ok(client.socket.connected)
  server.close()
  await once(server, 'close')
  await host.writeConfig('host', { port, pluginDirs: [], log: { level: 'error' }, limits: { messageBytes: 2048 } })
  await until(() => host.host.url === `http://127.0.0.1:${port}` && !host.host.status().some(({ id }) => id === 'late'))
  t.ok(client.socket.connected, 'who is connected stays')
  t.match(await client.ask('module:subscribe', { module: 'host' }), { success: true })

  await t.rejects(fetch(before), 'nobody listens where it was')
  const big = io(host.host.url, {
    auth: { sessionToken: client.sessionToken },
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
  })
  t.teardown(() => big.close())
  await new Promise((resolve) => big.once('auth:success', resolve))
  const closed = new Promise((resolve) => big.once('disconnect', resolve))
  big.emit('module:subscribe', 'x'.repeat(4000))
  await closed
  const lines = host.log.length
  await client.ask('host:enable', { id: 'system' })
  t.equal(host.log.length, lines, 'nothing is worth an error')
})

void t.test('the hardware modules move to another namespace, and back', async (t) => {
  const host = await startTestHost({ host: { namespace: '/lab' } })
  t.teardown(() => host.stop())
  t.match(await host.reached('host', 'running'), { namespace: '/lab' })
  await host.writeConfig('host', { port: 0, namespace: '/' })
  await until(() =>
    host.host.status().every(({ namespace, state }) => namespace !== '/lab' && state !== 'stopping' && state !== 'starting'),
  )
  const client = await host.client('viewer')
  t.match(await client.ask('module:subscribe', { module: 'host' }), { success: true, state: 'running' })
})

void t.test('a change of access.json is felt at once, one that is wrong is logged and not felt', async (t) => {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  const client = await host.client('owner', 7)
  await writeFile(join(host.configDir, 'access.json'), '{')
  await until(() => host.log.some((line) => line.includes('access.json:1:')))
  t.ok(client.socket.connected)
  const out = client.next('error')
  await host.writeConfig('access', { users: {} })
  t.match(await out, { code: 'ACCESS_DENIED' })
  t.equal(host.host.needsLink, true)
})

void t.test('what is in the way of a start is a sentence with an exit code, and what had started is stopped again', async (t) => {
  const dir = await temporary(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port: taken } = server.address() as { port: number }
  const start = async (port: number, dataDir = join(dir, 'data')) => {
    const config = await Config.open({ configDir: dir, env: { PATCHBAY_PORT: String(port) } })
    const parts = {
      botToken: undefined,
      builtinDir: join(dir, 'none'),
      apiUrl: 'data:,',
      child: { file: '' },
      loginPage: '',
      commandName: 'patchbay',
    }
    const host = new Host({ ...parts, config, dataDir, log: createLog('silent', process.stdout), development: false })
    await host.start()
    return host
  }
  const where = `Cannot listen on 127.0.0.1:${taken}: another program listens there. Choose another port`
  await t.rejects(start(taken), { message: `${where} in host.json or with PATCHBAY_PORT.`, exitCode: 69 })
  await writeFile(join(dir, 'file'), '')
  await t.rejects(start(0, join(dir, 'file')), {
    message: /^The data directory .*file cannot be written \(.*\)\. Set PATCHBAY_DATA_DIR\.$/,
    exitCode: 73,
  })
  const host = await start(0)
  t.teardown(() => host.stop())
  await t.rejects(start(0), { message: new RegExp(`runs already .*process ${process.pid}\\). Stop it first\\.$`), exitCode: 75 })
})

void t.test('the command line gets the code for a link over the control socket', async (t) => {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  for (const lan of [true, false]) {
    t.match(await askDaemon(host.dataDir, { command: 'login', lan }), { url: host.url, code: /^[\w-]{43}$/ })
  }
  t.same(await askDaemon(host.dataDir, { command: 'dance' }), { error: 'The daemon does not know this command.' })
})

void t.test('the command line restarts a plugin', async (t) => {
  const host = await startLab(t, [{ contract: { id: 'lamp' }, start: () => undefined }])
  await host.reached('lamp', 'running')
  t.match(await askDaemon(host.dataDir, { command: 'restart', plugin: 'lamp' }), { id: 'lamp', state: 'running' })
  t.equal(host.log.filter((line) => /"plugin":"lamp".*"is running"/.test(line)).length, 2)
  t.same(await askDaemon(host.dataDir, { command: 'restart', plugin: 'nobody' }), { error: 'There is no plugin "nobody".' })
})

void t.test('whoever started the host hears of every change of a plugin', async (t) => {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  const states: Array<string | undefined> = []
  host.host.onStatus(() => states.push(host.host.status().find(({ id }) => id === 'system')?.state))
  const owner = await host.client('owner')
  await owner.ask('host:enable', { id: 'system' })
  await owner.ask('host:disable', { id: 'system' })
  for (const state of ['starting', 'running', 'stopping', 'disabled']) t.ok(states.includes(state), state)
})
