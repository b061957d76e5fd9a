import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { childrenOf, encodeAlone } from './encode-alone.mjs'
import { path } from './processes.mjs'
import { callIn } from './remote.mjs'
import { absolute, median, pair } from './table.mjs'

/** Of a second of CPU time; what the kernel counts in. */
const TICKS = 100
const resolutions = ['480p', '720p', '1080p']

/**
 * The camera's driver with its simulated camera, in a process of its own (camera-lens.mjs). For each resolution the CPU time of ffmpeg and
 * that process (ours) and of ffmpeg alone with the very same arguments, into nothing (bare), at the same time; how old a picture is when
 * it is given to who watches; the time to the first one; and what the process keeps after many starts.
 */
export async function camera({ quick }) {
  const lens = fork(path('./camera-lens.mjs'), {
    stdio: 'inherit',
    execArgv: ['--expose-gc', '--import', path('../strip-types.mjs')],
  })
  const call = (name, ...args) => callIn(lens, name, ...args)
  const seconds = quick ? 3 : 10
  const rows = []
  for (const resolution of resolutions) {
    await call('watch', resolution, 1)
    const [ffmpeg] = childrenOf(lens.pid)
    const alone = encodeAlone(ffmpeg)
    await delay(1000)
    const rounds = []
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const before = [ffmpeg, lens.pid, alone.pid].map(cpu)
      await delay(seconds * 1000)
      const [made, passed, bare] = [ffmpeg, lens.pid, alone.pid].map((pid, index) => (cpu(pid) - before[index]) / seconds)
      rounds.push({ ours: made + passed, bare, passed })
    }
    const ages = await call('ages')
    rows.push(pair(`camera ${resolution}, 30 a second, one watches: CPU`, '%', rounds))
    rows.push(absolute('  of it the process with the driver', '%', median(rounds.map(({ passed }) => passed))))
    rows.push(absolute('  age of a picture as it is given on: median', 'ms', median(ages)))
    if (resolution === '720p') {
      for (const viewers of [3, 10]) {
        await call('watch', resolution, viewers)
        const before = cpu(lens.pid)
        await delay(seconds * 1000)
        rows.push(absolute(`  ${viewers} watch: CPU of the process with the driver`, '%', (cpu(lens.pid) - before) / seconds))
      }
    }
    await alone.end()
    await call('leave')
  }
  const tries = quick ? 3 : 15
  rows.push(absolute('first picture when nothing runs: median', 'ms', median(await call('cold', tries)), 1000))
  rows.push(absolute('first picture when the encoder runs: median', 'ms', median(await call('warm', tries)), 500))
  const [before, after] = await call('memory', quick ? 5 : 100)
  rows.push(absolute(`memory that ${quick ? 5 : 100} starts and stops have added`, 'MB', (after - before) / 1e6))
  lens.disconnect()
  await once(lens, 'exit')
  return rows
}

/** What a process has spent, in hundredths of a second: percent of a core, when divided by seconds. */
function cpu(pid) {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/, '').trim().split(' ').slice(11, 13)
  return ((Number(user) + Number(system)) / TICKS) * 100
}
