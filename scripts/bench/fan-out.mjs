import { initData, startBare, startClients, startPatchbay, stop, userIds } from './processes.mjs'
import { profiled } from './profiled.mjs'
import { pair } from './table.mjs'

/** Server CPU for one event of the size of `system:stats` to 1,000 subscribers. */
export async function fanOut({ quick, profile }) {
  const servers = { bare: await startBare(), ours: await startPatchbay(['bench']) }
  const clients = await startClients()
  const auths = userIds.map((id) => ({ initData: initData(id) }))
  for (const [name, { url }] of Object.entries(servers)) await clients.connect(name, { url, auths, module: 'bench' })

  const [rounds, times] = quick ? [3, 5] : [101, 5]
  const once = async (name) => {
    const spent = await servers[name].cost(() => clients.fanOut(name, { event: 'bench:stats', command: 'bench:publish', times }))
    return spent / times / 1000
  }
  for (const name of ['bare', 'ours', 'bare', 'ours']) await once(name)
  const cpu = []
  for (let round = 0; round < rounds; round++) {
    const found = {}
    for (const name of round % 2 ? ['ours', 'bare'] : ['bare', 'ours']) found[name] = await once(name)
    cpu.push(found)
  }
  for (const name of ['bare', 'ours']) await profiled(profile, servers[name], `fan-out ${name}`, () => once(name))
  for (const name of ['bare', 'ours']) {
    await clients.close(name)
    await stop(servers[name].child)
  }
  return [pair('one event to 1,000 subscribers: server CPU', 'ms', cpu, 1.05)]
}
