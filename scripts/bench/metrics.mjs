import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuOf, initData, lineOf, path, prepare, startClients, startPlain, stop, userIds } from './processes.mjs'
import { absolute, median, pair } from './table.mjs'

const token = 'bench-bench-bench-bench-bench-bench-bench-bench'

/**
 * What being watched costs: a daemon that is scraped once a second beside one that is not, with a subscriber of `system`, and the
 * same of a bare Socket.IO server with prom-client; and what counting adds to a command.
 */
export async function metrics({ quick }) {
  return [...(await scraping(quick)), ...(await counting(quick))]
}

async function scraping(quick) {
  const [warmS, periods, periodS] = quick ? [3, 2, 3] : [20, 6, 10]
  const servers = {
    watched: await startDaemon(['system', 'metrics']),
    ours: await startDaemon(['system', 'metrics']),
    bareWatched: await startBare(),
    bare: await startBare(),
  }
  const clients = await startClients()
  const auths = [{ initData: initData(userIds[0]) }]
  for (const [name, { url }] of Object.entries(servers)) await clients.connect(name, { url, auths, module: 'system' })
  const watched = [servers.watched, servers.bareWatched]
  let last
  const everySecond = setInterval(() => {
    last = Promise.all(watched.map(scrape))
  }, 1000)
  try {
    // V8 collects the garbage of the start once, some 15 s later.
    await sleep(warmS * 1000)
    const found = []
    for (let period = 0; period < periods; period++) {
      const before = spent(servers)
      const begun = performance.now()
      await sleep(periodS * 1000)
      const after = spent(servers)
      const elapsed = performance.now() - begun
      found.push(Object.fromEntries(Object.keys(servers).map((name) => [name, (100 * (after[name] - before[name])) / elapsed])))
    }
    const more = (one, other) => median(found.map((each) => each[one] - each[other]))
    const rounds = (one, other) => found.map((each) => ({ ours: each[one], bare: each[other] }))
    return [
      absolute('scraped once a second: further share of a core', '%', more('watched', 'ours'), 1, more('bareWatched', 'bare')),
      pair('  Patchbay, scraped (ours) against not (bare): share of a core', '%', rounds('watched', 'ours')),
      pair('  bare with prom-client, scraped (ours) against not (bare): share of a core', '%', rounds('bareWatched', 'bare')),
    ]
  } finally {
    clearInterval(everySecond)
    await last
    for (const name of Object.keys(servers)) await clients.close(name)
    for (const { child } of Object.values(servers)) await stop(child)
  }
}

/** Both are Patchbay: one was scraped before, and so counts. */
async function counting(quick) {
  const cpu = []
  const [starts, rounds] = quick ? [1, 5] : [3, 15]
  const load = { event: 'bench:connect', inFlight: 64, count: 6000 }
  for (let start = 0; start < starts; start++) {
    const servers = { ours: await startDaemon(['bench', 'metrics']), bare: await startDaemon(['bench', 'metrics']) }
    const clients = await startClients()
    const auths = [{ initData: initData(userIds[0]) }]
    for (const [name, { url }] of Object.entries(servers)) await clients.connect(name, { url, auths })
    await scrape(servers.ours)
    const once = async (name, times = 1) => {
      const before = cpuOf(servers[name].child)
      await clients.load(name, { ...load, count: load.count * times })
      return ((cpuOf(servers[name].child) - before) * 1000) / load.count / times
    }
    for (const name of ['bare', 'ours', 'bare', 'ours']) await once(name, quick ? 1 : 5)
    for (let round = 0; round < rounds; round++) {
      const both = {}
      for (const name of round % 2 ? ['ours', 'bare'] : ['bare', 'ours']) both[name] = await once(name)
      cpu.push(both)
    }
    for (const name of Object.keys(servers)) await clients.close(name)
    for (const { child } of Object.values(servers)) await stop(child)
  }
  return [pair('command, 64 in flight, counted (ours) against not (bare): server CPU', 'us', cpu, 1.05)]
}

async function startDaemon(plugins) {
  const env = await prepare(plugins)
  const hash = createHash('sha256').update(token).digest('base64url')
  await writeFile(join(env.PATCHBAY_DATA_DIR, 'route-tokens.json'), JSON.stringify({ metrics: hash }), { mode: 0o600 })
  const child = startPlain([join(path('../../dist'), 'cli.js'), 'start'], env)
  return { child, url: await lineOf(child, /"url":"([^"]+)".*"is ready"/) }
}

async function startBare() {
  const child = startPlain([path('./bare-metrics.mjs')], { PATH: process.env.PATH, NODE_ENV: 'production' })
  return { child, url: await lineOf(child, /listening on (\S+)/) }
}

async function scrape({ url }) {
  const response = await fetch(new URL('/metrics', url), { headers: { authorization: `Bearer ${token}` } })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${text}`)
}

/** CPU milliseconds of each so far. */
function spent(servers) {
  return Object.fromEntries(Object.entries(servers).map(([name, { child }]) => [name, cpuOf(child)]))
}
