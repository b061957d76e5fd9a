import { initData, startClients, startPatchbay, stop, userIds } from './processes.mjs'
import { absolute, pair } from './table.mjs'

/**
 * What `system` costs with one subscriber, and whether more is measured when 1,000 listen; the two hosts run side by side. The
 * second is counted, not timed: after 1,000 messages the processor's caches are cold, and the same reads take longer.
 */
export async function system({ quick }) {
  const few = await startPatchbay(['system'])
  const many = await startPatchbay(['system'])
  const clients = await startClients()
  const auths = userIds.map((id) => ({ initData: initData(id) }))
  await clients.connect('few', { url: few.url, auths: auths.slice(0, 1), module: 'system' })
  await clients.connect('many', { url: many.url, auths, module: 'system' })

  const ticks = (name, times) => clients.hear(name, { event: 'system:stats', times })
  // V8 collects the garbage of the start once, some 15 s later.
  await ticks('few', quick ? 1 : 9)
  const times = quick ? 3 : 10
  const readsPerTick = async (server, name) => {
    await ticks(name, 1)
    const before = await server.ask('reads')
    await ticks(name, times)
    return ((await server.ask('reads')) - before) / times
  }
  const begun = performance.now()
  let reads
  const spentUs = await few.cost(async () => {
    const [ours, bare] = await Promise.all([readsPerTick(many, 'many'), readsPerTick(few, 'few')])
    reads = { ours, bare }
  })
  const percent = spentUs / 10 / (performance.now() - begun)
  for (const name of ['few', 'many']) await clients.close(name)
  for (const { child } of [few, many]) await stop(child)
  return [
    absolute('system, 1 subscriber: share of a core', '%', percent, 0.5),
    // The history's samples, one in five ticks, need not fall alike.
    pair('system: files read per tick, 1,000 subscribers against 1', 'reads', [reads], 1.1),
  ]
}
