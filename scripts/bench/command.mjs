import { initData, startBare, startClients, startPatchbay, stop, userIds } from './processes.mjs'
import { profiled } from './profiled.mjs'
import { pair } from './table.mjs'

const loads = {
  full: { event: 'bench:connect', inFlight: 64, count: 6000 },
  single: { event: 'bench:connect', inFlight: 1, count: 1500 },
  later: { event: 'bench:connect-later', inFlight: 64, count: 4000 },
}

/**
 * Server CPU per acknowledged command, and the median round trip, with the payload of `wifi:connect`. The servers are started
 * several times: how the compiler and the memory happen to turn out is good for a tenth, and lasts as long as the process.
 */
export async function command({ quick, profile }) {
  const found = { full: [], single: [], later: [] }
  const [starts, rounds] = quick ? [1, 5] : [4, 11]
  for (let start = 0; start < starts; start++) {
    const servers = { bare: await startBare(), ours: await startPatchbay(['bench']) }
    const clients = await startClients()
    const auth = { initData: initData(userIds[0]) }
    for (const [name, { url }] of Object.entries(servers)) await clients.connect(name, { url, auths: [auth] })

    const once = async (name, load) => {
      let tripUs
      const spent = await servers[name].cost(async () => {
        tripUs = await clients.load(name, load)
      })
      return { cpu: spent / load.count, trip: tripUs }
    }
    for (const [kind, load] of Object.entries(loads)) {
      const long = { ...load, count: load.count * (quick ? 1 : 5) }
      for (const name of ['bare', 'ours', 'bare', 'ours']) await once(name, long)
      for (let round = 0; round < rounds; round++) {
        const both = {}
        for (const name of round % 2 ? ['ours', 'bare'] : ['bare', 'ours']) both[name] = await once(name, load)
        found[kind].push(both)
      }
      for (const name of start ? [] : ['bare', 'ours'])
        await profiled(profile, servers[name], `command ${kind} ${name}`, () => once(name, long))
    }
    for (const name of ['bare', 'ours']) {
      await clients.close(name)
      await stop(servers[name].child)
    }
  }
  const row = (what, kind, figure, limit) =>
    pair(
      what,
      'us',
      found[kind].map(({ ours, bare }) => ({ ours: ours[figure], bare: bare[figure] })),
      limit,
    )
  return [
    row('command, 64 in flight: server CPU', 'full', 'cpu', 1.2),
    row('command, 64 in flight: median round trip', 'full', 'trip', 1.1),
    row('  1 in flight: server CPU', 'single', 'cpu'),
    row('  1 in flight: median round trip', 'single', 'trip'),
    row('  64 in flight, asynchronous handler: server CPU', 'later', 'cpu'),
    row('  64 in flight, asynchronous handler: median round trip', 'later', 'trip'),
  ]
}
