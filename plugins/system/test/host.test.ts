import t, { type Test } from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { standInLogind, startBus } from './private-bus.ts'

/** A host with this plugin on, whose system bus is the test's own. */
async function start(t: Test, settings: object = {}) {
  const bus = await startBus(t)
  const host = await startTestHost({ builtins: ['system'], settings: { system: settings }, busAddress: bus.address })
  t.teardown(() => host.stop())
  await host.reached('system', 'running')
  return { ...bus, host }
}

void t.test(
  'a subscriber gets what the machine is, its history and its figures, in the shape that the contract says',
  async (t) => {
    const { host } = await start(t, { historyIntervalS: 1 })
    const client = await host.client('viewer')
    const [info, history, stats] = ['info', 'history', 'stats'].map((name) => client.next(`system:${name}`))
    t.match(await client.ask('module:subscribe', { module: 'system' }), { success: true, state: 'running' })
    t.match(await info, { hostname: String, os: { kernel: String, arch: String } })
    t.match(await history, { intervalS: 1, t: Array, cpu: Array })
    t.match(await stats, {
      cpu: { usage: Number, cores: Number },
      memory: { total: Number },
      disk: Array,
      network: Array,
      uptime: Number,
    })
    t.notMatch(host.log.join(''), /"level":50/)
  },
)

const both = [
  { command: 'system:reboot', order: 'Reboot', code: 'SYSTEM_REBOOT_FAILED', message: 'The machine does not restart' },
  { command: 'system:shutdown', order: 'PowerOff', code: 'SYSTEM_SHUTDOWN_FAILED', message: 'The machine does not shut down' },
]

for (const { command, order, code, message } of both) {
  void t.test(`${command} is answered before logind is told`, async (t) => {
    const { host, connect } = await start(t)
    const { orders } = await standInLogind(connect(), 'yes')
    const client = await host.client('owner')
    t.same(await client.ask(command), { success: true })
    while (orders.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    t.same(orders, [[order, false]])
    t.match(await client.ask(command), { code: 'RATE_LIMITED', retryAfter: Number })
  })

  void t.test(`${command} that logind then refuses is told to the subscribers`, async (t) => {
    const { host, connect } = await start(t)
    await standInLogind(connect(), 'yes', new Error('Operation inhibited'))
    const client = await host.client('owner')
    await client.ask('module:subscribe', { module: 'system' })
    const failure = client.next('error')
    t.same(await client.ask(command), { success: true })
    t.match(await failure, { module: 'system', code, message: new RegExp(`${message}: .*Operation inhibited`) })
  })
}

void t.test(
  'a restart that this user may not order, that nobody can do, or that a client may not ask for is refused',
  async (t) => {
    const forbidden = await start(t)
    await standInLogind(forbidden.connect(), 'challenge')
    for (const { command } of both)
      t.match(await (await forbidden.host.client('owner')).ask(command), { code: 'FORBIDDEN', error: /polkit/i })
    t.match(await (await forbidden.host.client('operator')).ask('system:reboot'), { code: 'FORBIDDEN' })
    const absent = await start(t)
    t.match(await (await absent.host.client('owner')).ask('system:reboot'), {
      code: 'MODULE_UNAVAILABLE',
      error: /^systemd-logind cannot be asked to restart this machine: /,
    })
  },
)

void t.test('the doctor hears from logind, and from polkit that it is not there', async (t) => {
  const { host, connect } = await start(t)
  await standInLogind(connect(), 'yes')
  const answer = await (await host.client('owner')).ask('host:doctor')
  const { findings } = (answer.plugins as Array<{ id: string; findings: object[] }>).find(({ id }) => id === 'system') ?? {}
  const polkit = {
    kind: 'polkit',
    ok: false,
    optional: true,
    sentence: /polkit does not run/,
    mend: 'sudo apt-get install polkitd',
  }
  t.match(findings, [polkit, { name: 'CanReboot', ok: true }, { name: 'CanPowerOff', ok: true }])
})
