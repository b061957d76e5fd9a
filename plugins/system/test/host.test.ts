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

void t.test('a restart is answered before logind is told', async (t) => {
  const { host, connect } = await start(t)
  const { reboots } = await standInLogind(connect(), 'yes')
  const client = await host.client('owner')
  t.same(await client.ask('system:reboot'), { success: true })
  while (reboots.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(reboots, [false])
  t.match(await client.ask('system:reboot'), { code: 'RATE_LIMITED', retryAfter: Number })
})

void t.test('a restart that logind then refuses is told to the subscribers', async (t) => {
  const { host, connect } = await start(t)
  await standInLogind(connect(), 'yes', new Error('Operation inhibited'))
  const client = await host.client('owner')
  await client.ask('module:subscribe', { module: 'system' })
  const failure = client.next('error')
  t.same(await client.ask('system:reboot'), { success: true })
  t.match(await failure, {
    module: 'system',
    code: 'SYSTEM_REBOOT_FAILED',
    message: /The machine does not restart: .*Operation inhibited/,
  })
})

void t.test(
  'a restart that this user may not order, that nobody can do, or that a client may not ask for is refused',
  async (t) => {
    const forbidden = await start(t)
    await standInLogind(forbidden.connect(), 'challenge')
    t.match(await (await forbidden.host.client('owner')).ask('system:reboot'), { code: 'FORBIDDEN', error: /polkit/i })
    t.match(await (await forbidden.host.client('operator')).ask('system:reboot'), { code: 'FORBIDDEN' })
    const absent = await start(t)
    t.match(await (await absent.host.client('owner')).ask('system:reboot'), {
      code: 'MODULE_UNAVAILABLE',
      error: /^systemd-logind cannot be asked to restart this machine: /,
    })
  },
)
