import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { childrenOf, encodeAlone } from './encode-alone.mjs'
import { cpuOf, initData, lineOf, memoryOf, path, prepare, startPlain, stop, userIds } from './processes.mjs'
import { callIn } from './remote.mjs'
import { absolute, median, pair } from './table.mjs'

/**
 * Receivers are on loopback; a browser finds the machine's other addresses by itself, and needs one. Rate and bitrate are those that neither
 * a busy machine nor a good way changes: a change is another ffmpeg.
 */
const settings = {
  ...{ simulated: true, camera: 'simulated', localAddresses: true, maxViewers: 20 },
  ...{ frameRate: 15, bitrateKbps: 1500, maxBitrateKbps: 1500 },
}
const resolutions = ['480p', '720p', '1080p']

/**
 * The camera over WebRTC as a user has it: Patchbay with its simulated camera, and viewers on libdatachannel in a third process. For each
 * resolution the CPU time of the daemon, the plugin's process and its ffmpeg (ours) with one, three and ten of them, and of ffmpeg alone
 * with the very same arguments, into nothing (bare), at the same time. Then Debian's Chromium: from the stamp in a picture to its pixel, and
 * the time to the first one; and what the plugin's process keeps after many have come and gone. No other server of WebRTC is measured:
 * neither Debian nor npm has go2rtc or MediaMTX.
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
  const auth = () => ({ initData: initData(userIds[user++ % userIds.length]) })
  const watch = (count, resolution = '720p') => callIn(clients, 'watch', url, Array.from({ length: count }, auth), resolution)
  const browse = (resolution, seconds = 0) => callIn(clients, 'browse', url, auth(), resolution, seconds)
  const leave = () => callIn(clients, 'leave')
  const isOver = () => delay(6000) // the program ends 5 s after the last has left
  const [plugin] = childrenOf(daemon.pid)

  const rows = []
  for (const resolution of resolutions) {
    await watch(1, resolution)
    const [ffmpeg] = childrenOf(plugin)
    const alone = encodeAlone(ffmpeg)
    for (const count of [1, 3, 10]) {
      await watch(count - (await callIn(clients, 'count')), resolution)
      await delay(2000)
      const rounds = []
      for (let round = 0; round < (quick ? 1 : 5); round++)
        rounds.push(await spent([daemon.pid, plugin, ffmpeg, alone.pid], quick ? 2 : 5))
      const of = (index) => median(rounds.map((round) => round[index]))
      const sums = rounds.map(([host, own, encoder, bare]) => ({ ours: host + own + encoder, bare }))
      rows.push(pair(`camera ${resolution} over WebRTC, 15 a second, ${count} watching: CPU`, '%', sums))
      rows.push(absolute('  of it the daemon', '%', of(0)))
      rows.push(absolute('  of it the plugin’s process, for each who watches', '%', of(1) / count))
    }
    await alone.end()
    await leave()
    await isOver()
  }

  await callIn(clients, 'openBrowser')
  const cold = []
  for (let i = 0; i < (quick ? 1 : 7); i++) {
    cold.push((await browse('720p')).first)
    await isOver()
  }
  for (const resolution of resolutions) {
    const { ages } = await browse(resolution, quick ? 2 : 10)
    rows.push(absolute(`from the stamp in a picture to Chromium’s pixel, ${resolution}: median`, 'ms', median(ages)))
    await isOver()
  }
  await watch(1)
  const warm = []
  for (let i = 0; i < (quick ? 2 : 10); i++) warm.push((await browse('720p')).first)
  rows.push(absolute('from camera:start to the first picture in Chromium, nothing running: median', 'ms', median(cold), 1000))
  rows.push(absolute('  with the encoder running: median', 'ms', median(warm), 500))
  await callIn(clients, 'closeBrowser')
  await leave()
  const memory = memoryOf({ pid: plugin }).rss
  const cycles = quick ? 5 : 100
  for (let i = 0; i < cycles; i++) {
    await watch(1)
    await leave()
  }
  rows.push(
    absolute(`memory that ${cycles} viewers who came and left have added`, 'MB', (memoryOf({ pid: plugin }).rss - memory) / 1e6),
  )
  clients.disconnect()
  await once(clients, 'exit')
  await stop(daemon)
  return rows
}

/** What processes spend in the next seconds: percent of a core. */
async function spent(pids, seconds) {
  const before = pids.map((pid) => cpuOf({ pid }))
  const begun = performance.now()
  await delay(seconds * 1000)
  const wall = performance.now() - begun
  return pids.map((pid, index) => ((cpuOf({ pid }) - before[index]) / wall) * 100)
}
