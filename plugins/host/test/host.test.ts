import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import t, { type Test } from 'tap'
import { connected, startTestHost, type TestClient, type TestHost } from '../../../core/testing/host.ts'

async function start(t: Test): Promise<TestHost> {
  const host = await startTestHost()
  t.teardown(() => host.stop())
  await host.reached('host', 'running')
  return host
}

async function again(t: Test, { url }: TestHost, sessionToken: string): Promise<TestClient> {
  const socket = io(url, { auth: { sessionToken }, transports: ['websocket'], forceNew: true, reconnection: false })
  t.teardown(() => socket.close())
  return connected(socket)
}

interface Listed {
  readonly id: string
  readonly userId: string
  readonly current: boolean
  readonly clients: number
}
const sessionsOf = async (client: TestClient, payload?: object) =>
  (await client.ask('host:sessions', payload)).sessions as Listed[]

void t.test('a subscriber is told every plugin, and what is wrong in the configuration while it is', async (t) => {
  const host = await start(t)
  const client = await host.client('viewer')
  const [plugins, config] = [client.next<Array<{ id: string }>>('host:plugins'), client.next('host:config')]
  await client.ask('module:subscribe', { module: 'host' })
  const byId = new Map((await plugins).map((status) => [status.id, status]))
  t.match(byId.get('host'), { state: 'running', builtin: true, namespace: '/', version: /^\d/ })
  t.match(byId.get('storage'), { state: 'disabled', reason: 'It is not switched on in plugins.json.' })
  t.match(byId.get('system'), { state: 'disabled' })
  t.same(await config, { problems: [] })

  const wrong = client.next('host:config', ({ problems }: { problems: object[] }) => problems.length > 0)
  await writeFile(join(host.configDir, 'plugins.json'), '{\n"plugs": {} }')
  t.match(await wrong, { problems: [{ file: 'plugins.json', line: 2, message: /"plugs" is not a setting/ }] })
  const owner = await host.client('owner')
  t.match(await owner.ask('host:enable', { id: 'system' }), {
    success: false,
    code: 'HOST_NOT_POSSIBLE',
    error: /^plugins\.json is not valid and was left alone/,
  })
  const mended = client.next('host:config', ({ problems }: { problems: object[] }) => problems.length === 0)
  await host.writeConfig('plugins', { plugins: { system: { enabled: false }, storage: { enabled: false } } })
  await mended
})

void t.test('only an owner changes plugins, and what cannot be done has a code', async (t) => {
  const host = await start(t)
  const [owner, operator] = [await host.client('owner'), await host.client('operator')]
  for (const command of ['host:enable', 'host:disable', 'host:restart', 'host:release']) {
    t.match(await operator.ask(command, { id: 'system' }), { code: 'FORBIDDEN' }, command)
    t.match(await owner.ask(command, { id: 'nothing' }), { code: 'HOST_NO_PLUGIN' }, command)
    t.match(await owner.ask(command, { id: 'host' }), { code: 'HOST_NOT_POSSIBLE' }, command)
  }
  t.match(await owner.ask('host:release', { id: 'system' }), { error: 'system is not in quarantine.' })
  t.match(await owner.ask('host:enable', { id: 'system' }), { success: true, state: 'running' })
  t.match(await owner.ask('host:restart', { id: 'system' }), { success: true, state: 'running' })
  t.match(await owner.ask('host:disable', { id: 'system' }), { success: true, state: 'disabled', reason: /plugins\.json/ })
})

void t.test('an owner is told what the host and every plugin need, and what is there', async (t) => {
  const host = await start(t)
  const [owner, operator] = [await host.client('owner'), await host.client('operator')]
  t.match(await operator.ask('host:doctor'), { code: 'FORBIDDEN' })
  const { success, plugins } = await owner.ask('host:doctor')
  t.equal(success, true)
  const rows = plugins as Array<{ id: string; state: string; findings: Array<{ kind: string; optional: boolean }> }>
  t.match(rows[0], { id: 'host', state: 'running' })
  const storage = rows.find(({ id }) => id === 'storage')
  t.match(storage, { state: 'disabled', findings: Array })
  t.ok(storage?.findings.some(({ kind, optional }) => kind === 'tool' && optional))
})

void t.test('for a plugin that is switched off no program is started, for one that is on its version is asked', async (t) => {
  const host = await start(t)
  const directory = join(host.pluginDir, 'lamp')
  const contract = { id: 'lamp', needs: { tools: { sh: { package: 'dash', version: '999' } } } }
  await mkdir(directory)
  await writeFile(join(directory, 'contract.json'), JSON.stringify(contract))
  await writeFile(join(directory, 'index.js'), 'export default { start() {} }')
  const manifest = { name: 'lamp', version: '1.0.0', type: 'module', patchbay: { api: 1, contract: 'contract.json' } }
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest))
  await host.reached('lamp', 'disabled')
  const owner = await host.client('owner')
  const found = async () => {
    const { plugins } = (await owner.ask('host:doctor')) as unknown as { plugins: Array<{ id: string; findings: object[] }> }
    return plugins.find(({ id }) => id === 'lamp')?.findings
  }
  t.match(await found(), [{ kind: 'tool', ok: true, sentence: /^The program sh is \/\S+\.$/ }])
  await owner.ask('host:enable', { id: 'lamp' })
  t.match(await found(), [{ sentence: /, (version \d|which does not tell its version)/ }])
})

void t.test("everyone sees and ends their own sessions, an owner everyone's", async (t) => {
  const host = await start(t)
  const [owner, one, other] = [await host.client('owner', 1), await host.client('viewer', 2), await host.client('viewer', 3)]
  const second = await host.client('viewer', 2)
  const own = await sessionsOf(one)
  t.match(
    own.map(({ userId, clients }) => [userId, clients]),
    [
      ['telegram:2', 1],
      ['telegram:2', 1],
    ],
  )
  t.equal(own.filter(({ current }) => current).length, 1)
  t.match(await one.ask('host:sessions', { all: true }), { code: 'FORBIDDEN' })
  t.equal((await sessionsOf(owner, { all: true })).length, 4)
  t.equal((await sessionsOf(owner)).length, 1)

  const [foreign] = (await sessionsOf(other)) as [Listed]
  t.match(await one.ask('host:revoke', { id: foreign.id }), { code: 'HOST_NO_SESSION' })
  const refused = second.next('error')
  const closed = new Promise((resolve) => second.socket.once('disconnect', resolve))
  t.same(await one.ask('host:revoke', { id: own.find(({ current }) => !current)?.id }), { success: true })
  t.match(await refused, { code: 'SESSION_EXPIRED' })
  await closed
  t.match(await owner.ask('host:revoke', { id: foreign.id }), { success: true })
  t.match(
    await one.ask('host:revoke', { id: own.find(({ current }) => current)?.id }),
    { success: true },
    'answered before it ends',
  )
  await t.rejects(again(t, host, one.sessionToken), { message: 'SESSION_EXPIRED' })
  await t.rejects(host.client('viewer', 2), { message: 'AUTH_INVALID' }, 'init data from before the revocation')
})

void t.test('whose replaced token is used again is told', async (t) => {
  const { now } = Date
  let later = 0
  t.teardown(() => {
    Date.now = now
  })
  Date.now = () => now() + later
  const host = await start(t)
  const first = await host.client('viewer')
  const second = await again(t, host, first.sessionToken)
  await again(t, host, second.sessionToken)
  later = 120_000
  const alert = second.next('host:session_alert')
  await t.rejects(again(t, host, first.sessionToken), { message: 'SESSION_EXPIRED' })
  later = 0
  t.match(await alert, { session: String, at: Number, address: '127.0.0.1' })
  t.match(await sessionsOf(second), [{ refusedTokens: [{ address: '127.0.0.1' }] }])
})
