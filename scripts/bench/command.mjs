import { initData, startBare, startClients, startPatchbay, stop, userIds } from './processes.mjs'
import { profiled } from './profiled.mjs'
import { pair } from './table.mjs'

/** Server CPU per acknowledged command, and the median round trip, with the payload of `wifi:connect`. */
export async function command({ quick, profile }) {
  const servers = { bare: await startBare(), ours: await startPatchbay(['bench']) }
  const clients = await startClients()
  const auth = { initData: initData(userIds[0]) }
  for (const [name, { url }] of Object.entries(servers)) await clients.connect(name, { url, auths: [auth] })

  const measure = async (label, load, count) => {
    const rounds = quick ? 5 : 41
    const once = async (name, asked) => {
      let tripUs
      const spent = await servers[name].cost(async () => {
        tripUs = await clients.load(name, { ...load, count: asked })
      })
      return { cpuUs: spent / asked, tripUs }
    }
    for (const name of ['bare', 'ours', 'bare', 'ours']) await once(name, quick ? count : 5 * count)
    const cpu = []
    const trip = []
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 ? ['ours', 'bare'] : ['bare', 'ours']
      const found = {}
      for (const name of order) found[name] = await once(name, count)
      cpu.push({ ours: found.ours.cpuUs, bare: found.bare.cpuUs })
      trip.push({ ours: found.ours.tripUs, bare: found.bare.tripUs })
    }
    for (const name of ['bare', 'ours'])
      await profiled(profile, servers[name], `command ${label} ${name}`, () => once(name, 10 * count))
    return { cpu, trip }
  }

  const full = await measure('64', { event: 'bench:connect', inFlight: 64 }, 6000)
  const later = await measure('64 later', { event: 'bench:connect-later', inFlight: 64 }, 4000)
  const single = await measure('1', { event: 'bench:connect', inFlight: 1 }, 1500)
  for (const name of ['bare', 'ours']) {
    await clients.close(name)
    await stop(servers[name].child)
  }
  return [
    pair('command, 64 in flight: server CPU', 'us', full.cpu, 1.2),
    pair('command, 64 in flight: median round trip', 'us', full.trip, 1.1),
    pair('  1 in flight: server CPU', 'us', single.cpu),
    pair('  1 in flight: median round trip', 'us', single.trip),
    pair('  64 in flight, asynchronous handler: server CPU', 'us', later.cpu),
    pair('  64 in flight, asynchronous handler: median round trip', 'us', later.trip),
  ]
}
