import t from 'tap'
import { Simulated } from '../../../test/support/simulated.ts'
import type { Drive } from '../driver/drive.ts'

void t.test('a good drive and a worn one are told, both called simulated, and read anew when asked', async (t) => {
  const storage = await Simulated.start(t, 'storage', 'storage:health', 'storage:drives', 'storage:partitions')
  const health = await storage.until<Drive>('storage:health', () => true)
  t.match(health, { model: /^Simulated/, serial: /^SIMULATED/, verdict: 'good', system: true, partial: false })
  t.ok(Number(health.temperature) >= 36 && Number(health.temperature) <= 50)
  const drives = await storage.until<Drive[]>('storage:drives', () => true)
  t.match(drives, [{ model: /^Simulated/, verdict: 'worn', reason: /91 %/ }])
  const partitions = await storage.until<Array<{ device: string }>>('storage:partitions', () => true)
  t.ok(partitions.length === 3 && partitions.every(({ device }) => device.includes('simulated')))
  const again = storage.client.next('storage:health')
  t.same(await storage.client.ask('storage:refresh'), { success: true })
  t.match(await again, { verdict: 'good' })
})
