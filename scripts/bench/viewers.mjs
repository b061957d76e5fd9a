import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuOf, initData, lineOf, memoryOf, path, prepare, startPlain, stop, userIds } from './processes.mjs'
import { callIn } from './remote.mjs'
import { absolute, median } from './table.mjs'

/** On a machine that may have nothing but loopback. */
const settings = { simulated: true, camera: 'simulated', frameRate: 30, interfaces: ['lo'], localAddresses: true, maxViewers: 20 }

/**
 * The camera over WebRTC as a user has it: Patchbay with its simulated camera at 720p, and viewers on libdatachannel in a third process,
 * over the loopback. CPU time of the daemon and of the plugin's process (without ffmpeg) with one, three and ten of them; the time from
 * `camera:start` to the first packet of the picture; and what the plugin's process keeps after many have come and gone.
 */
export async function viewers({ quick }) {
  const env = await prepare(['camera'])
  const file = join(env.PATCHBAY_CONFIG_DIR, 'plugins.json')
  const { plugins } = JSON.parse(readFileSync(file, 'utf8'))
  await writeFile(file, JSON.stringify({ plugins: { ...plugins, camera: { enabled: true, settings } } }), { mode: 0o600 })
  const daemon = startPlain([join(path('../../dist'), 'cli.js'), 'start'], env)
  const [url] = await Promise.all([
    lineOf(daemon, /"url":"([^"]+)".*"is ready"/),
    lineOf(daemon, /"plugin":"camera","state":"running"/),
  ])
  const clients = fork(path('./viewers-clients.mjs'), { stdio: 'inherit', execArgv: ['--import', path('../strip-types.mjs')] })
  // No user may start more than three times in 30 s.
  let user = 0
  const auths = (count) => Array.from({ length: count }, () => ({ initData: initData(userIds[user++ % userIds.length]) }))
  const watch = (count) => callIn(clients, 'watch', url, auths(count))
  const leave = () => callIn(clients, 'leave')
  const isOver = () => delay(6000) // the program ends 5 s after the last has left

  const rows = []
  const cold = []
  for (let i = 0; i < (quick ? 1 : 5); i++) {
    cold.push(...(await watch(1)))
    await leave()
    await isOver()
  }
  await watch(1)
  const plugin = { pid: childOf(daemon.pid) }
  for (const count of [1, 3, 10]) {
    await watch(count - (await callIn(clients, 'count')))
    await delay(2000)
    const seconds = quick ? 3 : 10
    const before = [daemon, plugin].map(cpuOf)
    await delay(seconds * 1000)
    const [host, own] = [daemon, plugin].map((one, index) => (cpuOf(one) - before[index]) / seconds / 10)
    rows.push(absolute(`camera 720p over WebRTC, ${count} watching: CPU of the daemon`, '%', host))
    rows.push(absolute('  of the plugin’s process', '%', own))
  }
  const warm = []
  for (let i = 0; i < (quick ? 2 : 10); i++) warm.push(...(await watch(1)))
  rows.push(absolute('from camera:start to the first packet, nothing running: median', 'ms', median(cold), 1000))
  rows.push(absolute('  with the encoder running: median', 'ms', median(warm), 500))
  await leave()
  const memory = memoryOf(plugin).rss
  const cycles = quick ? 5 : 100
  for (let i = 0; i < cycles; i++) {
    await watch(1)
    await leave()
  }
  rows.push(absolute(`memory that ${cycles} viewers who came and left have added`, 'MB', (memoryOf(plugin).rss - memory) / 1e6))
  clients.disconnect()
  await once(clients, 'exit')
  await stop(daemon)
  return rows
}

/** The process of the plugin, the only one that the daemon has. */
function childOf(pid) {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')[0])
}
