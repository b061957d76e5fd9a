import t from 'tap'
import { Simulated } from '../../../test/support/simulated.ts'

interface Stats {
  readonly uptime: number
}
interface Columns {
  readonly t: readonly number[]
  readonly cpu: readonly number[]
}

void t.test('figures move, an hour of them is there at once, and all says that it is simulated', async (t) => {
  const system = await Simulated.start(t, 'system', 'system:stats', 'system:info', 'system:history')
  t.match(await system.until('system:info', () => true), { hostname: 'SIMULATED', hardware: { model: /^Simulated/ } })
  const { t: times, cpu } = await system.until<Columns>('system:history', () => true)
  t.equal(times.length, 360)
  t.ok(new Set(cpu).size > 100 && cpu.every((percent) => percent >= 0 && percent <= 100))
  const stats = await system.until<Stats>('system:stats', () => true)
  t.match(stats, { cpu: { model: /^Simulated/ }, network: [{ iface: 'simulated0' }] })
  await system.until<Stats>('system:stats', ({ uptime }) => uptime > stats.uptime)
})

void t.test('a restart is one of the simulated machine alone', async (t) => {
  const system = await Simulated.start(t, 'system', 'system:stats')
  await system.until<Stats>('system:stats', ({ uptime }) => uptime > 100_000)
  t.same(await system.client.ask('system:reboot'), { success: true })
  await system.until<Stats>('system:stats', ({ uptime }) => uptime < 60)
})
