import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { initData, lineOf, memoryOf, path, prepare, startClients, startPlain, stop, userIds } from './processes.mjs'
import { absolute, median, pair } from './table.mjs'

/**
 * The same plugin in the host's process (bare) and in one of its own (ours), in one host: the median round trip of a command, one in
 * flight, in interleaved rounds; the memory of its process; and how long after `kill -9` a standing subscription flows again.
 */
export async function process({ quick }) {
  const env = await prepare(['bench'])
  await addFar(env)
  const child = startPlain([join(path('../../dist'), 'cli.js'), 'start'], env)
  const [url] = await Promise.all([
    lineOf(child, /"url":"([^"]+)".*"is ready"/),
    lineOf(child, /"plugin":"far","state":"running"/),
  ])
  const clients = await startClients()
  const [user, listener] = userIds.map((id) => ({ initData: initData(id) }))
  await clients.connect('user', { url, auths: [user] })
  await clients.connect('listener', { url, auths: [listener], module: 'far', mayFail: true })

  const count = quick ? 300 : 2000
  const [trips, rounds] = [[], quick ? 3 : 21]
  const trip = (id) => clients.load('user', { event: `${id}:connect`, inFlight: 1, count })
  for (const id of ['bench', 'far', 'bench', 'far']) await trip(id)
  for (let round = 0; round < rounds; round++) {
    const both = {}
    for (const id of round % 2 ? ['far', 'bench'] : ['bench', 'far']) both[id] = await trip(id)
    trips.push({ ours: both.far, bare: both.bench })
  }
  // Only once: every further end within five minutes would make it wait longer, as it should.
  const pid = await onlyChild(child.pid)
  const { rss, own } = memoryOf({ pid })
  const back = await clients.recovery('listener', { pid, command: 'far:publish', event: 'far:stats' })
  for (const name of ['user', 'listener']) await clients.close(name)
  await stop(child)
  const more = median(trips.map(({ ours, bare }) => ours - bare)) / 1000
  return [
    pair('command to a plugin in a process of its own: median round trip', 'us', trips),
    absolute('  more than to one in the host', 'ms', more, 0.15),
    absolute('  memory of its process (RSS)', 'MB', rss / 1e6),
    absolute('  without what it shares with others', 'MB', own / 1e6),
    absolute('  from kill -9 until events flow again', 'ms', back, 1500),
  ]
}

/** The plugin of the other benches once more, in a process of its own. */
async function addFar({ PATCHBAY_CONFIG_DIR, PATCHBAY_DATA_DIR }) {
  const dir = join(PATCHBAY_DATA_DIR, 'plugins/far')
  await cp(path('./plugin'), dir, { recursive: true })
  for (const name of await readdir(dir)) {
    const text = await readFile(join(dir, name), 'utf8')
    await writeFile(join(dir, name), text.replaceAll(/bench(?=[:"])/g, 'far'))
  }
  await configure(PATCHBAY_CONFIG_DIR, { far: { enabled: true, runIn: 'process' } })
}

/** Adds entries to plugins.json. */
async function configure(configDir, entries) {
  const file = join(configDir, 'plugins.json')
  const { plugins } = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ plugins: { ...plugins, ...entries } }), { mode: 0o600 })
}

/** The process that the daemon started for the plugin. */
async function onlyChild(pid) {
  const tasks = await readdir(`/proc/${pid}/task`)
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'utf8')))
  const children = lists.join(' ').split(/\s+/).filter(Boolean)
  if (children.length !== 1) throw new Error(`the daemon has ${children.length} children`)
  return Number(children[0])
}
