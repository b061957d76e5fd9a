import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { initData, lineOf, memoryOf, path, prepare, startClients, startPlain, stop, userIds } from './processes.mjs'
import { absolute, pair } from './table.mjs'

/** What the hostile plugin of test/hostile does; its floods go on until they are told to end. */
const attacks = [
  ['an endless loop', 'loop', {}],
  ['100,000 events a second', 'publishOften', { event: 'hostile:any', count: 1e9, perTurn: 1000 }],
  ['a million lines in the log', 'logOften', { count: 1e9 }],
  ['a million lines on its output', 'writeOften', { fd: 1, count: 1e9 }],
  ['values of 1 MB', 'publishOften', { event: 'hostile:value', count: 1e9, perTurn: 1, bytes: 1e6 }],
  ['allocating without end', 'fillHeap', {}],
  ['crashing', 'exit', { code: 1 }],
]

/**
 * The 99th percentile of the round trip of a command to a neighbour, in the host's process and in one of its own, one in flight,
 * while the hostile plugin is attacking (ours) and while it rests (bare). Rounds alternate. A neighbour loses what the attacker takes
 * of the processors, too, as it would to any program.
 */
export async function attack({ quick }) {
  const { child, url } = await startBesieged(startPlain)
  const clients = await startClients()
  const [user, attacker, listener] = userIds.map((id) => ({ initData: initData(id) }))
  await clients.connect('user', { url, auths: [user] })
  await clients.connect('attacker', { url, auths: [attacker], mayFail: true })
  await clients.connect('owner', { url, auths: [{ initData: initData(1) }], mayFail: true })
  await clients.connect('listener', { url, auths: [listener], module: 'hostile', mayFail: true })
  const ask = (name, event, payload) => clients.ask(name, { event, payload })

  const [rounds, ms] = quick ? [1, 1000] : [5, 3000]
  const rows = []
  for (const [what, deed, args] of attacks) {
    const found = { bench: [], far: [] }
    let rss = 0
    for (let round = 0; round < rounds; round++) {
      await ask('owner', 'host:restart', { id: 'hostile' })
      await sleep(500)
      const bare = await clients.trips('user', { events: ['bench:connect', 'far:connect'], ms })
      await ask('attacker', 'hostile:do', { what: deed, args })
      const ours = await clients.trips('user', { events: ['bench:connect', 'far:connect'], ms })
      rss = Math.max(rss, memoryOf(child).rss)
      for (const [name, event] of [
        ['bench', 'bench:connect'],
        ['far', 'far:connect'],
      ])
        found[name].push({ ours: ours[event], bare: bare[event] })
    }
    rows.push(
      pair(`beside ${what}: p99 of a host plugin`, 'ms', found.bench),
      pair('  of a process plugin', 'ms', found.far),
      absolute("  memory of the host's process (RSS)", 'MB', rss / 1e6),
    )
  }
  for (const name of ['user', 'attacker', 'owner', 'listener']) await clients.close(name)
  await stop(child)
  return rows
}

/** Patchbay with a plugin in its own process, `bench`, and two in processes of theirs: `far`, which is the same, and `hostile`. */
export async function startBesieged(how) {
  const env = await prepare(['bench'])
  await addPlugins(env)
  const child = how([join(path('../../dist'), 'cli.js'), 'start'], env)
  const [url] = await Promise.all([
    lineOf(child, /"url":"([^"]+)".*"is ready"/),
    lineOf(child, /"plugin":"(?:hostile|far)","state":"running"/, 2),
  ])
  return { child, url }
}

/** The plugin of the other benches once more, in a process of its own, and the hostile one. */
async function addPlugins({ PATCHBAY_CONFIG_DIR, PATCHBAY_DATA_DIR }) {
  const plugins = join(PATCHBAY_DATA_DIR, 'plugins')
  await cp(path('../../test/hostile/plugin'), join(plugins, 'hostile'), { recursive: true })
  await mkdir(join(plugins, 'far'))
  for (const name of ['contract.json', 'handlers.js', 'index.js', 'package.json']) {
    const text = await readFile(path(`./plugin/${name}`), 'utf8')
    await writeFile(join(plugins, 'far', name), text.replaceAll(/bench(?=[:"])/g, 'far'))
  }
  const file = join(PATCHBAY_CONFIG_DIR, 'plugins.json')
  const config = JSON.parse(await readFile(file, 'utf8'))
  config.plugins.bench.runIn = 'host'
  for (const id of ['far', 'hostile']) config.plugins[id] = { enabled: true, runIn: 'process' }
  await writeFile(file, JSON.stringify(config), { mode: 0o600 })
}
