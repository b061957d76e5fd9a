import { initData, startClients, startPatchbay, stop, userIds } from './processes.mjs'
import { absolute, pair } from './table.mjs'

/** What `system` costs with one subscriber, and whether measuring costs more when 1,000 listen. The two run side by side. */
export async function system({ quick }) {
  const few = await startPatchbay(['system'])
  const many = await startPatchbay(['system'])
  const clients = await startClients()
  const auths = userIds.map((id) => ({ initData: initData(id) }))
  await clients.connect('few', { url: few.url, auths: auths.slice(0, 1), module: 'system' })
  await clients.connect('many', { url: many.url, auths, module: 'system' })
  const ticks = (name, times) => clients.hear(name, { event: 'system:stats', times })

  await ticks('few', 2)
  const times = quick ? 3 : 10
  const begun = performance.now()
  const spentUs = await few.cost(() => ticks('few', times))
  const percent = spentUs / 10 / (performance.now() - begun)

  const sampling = async (server, name) => {
    await server.ask('startProfile')
    await ticks(name, times)
    return (await server.ask('stopProfile', { part: '/plugins/system/', until: 'publish' })) / times / 1000
  }
  const [ours, bare] = await Promise.all([sampling(many, 'many'), sampling(few, 'few')])
  for (const name of ['few', 'many']) await clients.close(name)
  for (const { child } of [few, many]) await stop(child)
  return [
    absolute('system, 1 subscriber: share of a core', '%', percent, 0.5),
    pair('system: measuring per tick for 1,000 against for 1 (profiler)', 'ms', [{ ours, bare }]),
  ]
}
