/**
 * An hour of use, pressed into ten minutes: clients come, subscribe, ask and go without a pause, to a plugin in the host's process and
 * to plugins in processes of their own, of which one misbehaves once a round. Prints what the host holds after each round, and at the
 * end what it held at the start.
 *
 *   node scripts/bench/soak.mjs              60 rounds of 10 s
 *   node scripts/bench/soak.mjs --rounds=6   less
 *
 * Needs `npm run build` first. The exit code is 1 if the host holds more at the end than at the start.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startBesieged } from './attack.mjs'
import { initData, memoryOf, start, startClients, stopAll, userIds } from './processes.mjs'
import { callIn } from './remote.mjs'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '60' } } })
const rounds = Number(options.rounds)
const roundMs = 10_000
const auths = userIds.slice(10, 30).map((id) => ({ initData: initData(id) }))
/** Until every user has as many sessions as one may have, and code is compiled. */
const warmUps = 60
/** What may be more at the end: bytes of the heap, descriptors, processes. */
const most = { heap: 4e6, descriptors: 4, processes: 0 }

const misdeeds = [
  ['loop', {}],
  ['exit', { code: 1 }],
  ['signalItself', { signal: 'SIGSEGV' }],
  ['publishOften', { event: 'hostile:value', count: 100_000, bytes: 1000 }],
  ['logOften', { count: 100_000 }],
  ['fillHeap', {}],
  ['throwLater', { name: 'error' }],
  ['leak', {}],
]

/** Milliseconds that a wave takes at least: nobody subscribes more often than a user may. */
const waveMs = 50

/** Every client of a group comes, subscribes, asks and goes. */
async function wave(clients, url, module) {
  const pause = sleep(waveMs)
  await clients.connect('wave', { url, auths, module, mayFail: true })
  const events = ['bench:connect', 'far:connect']
  for (const event of events) {
    const answer = await clients.ask('wave', { event, payload: { ssid: 'Home', password: 'correct horse' } })
    if (!answer.success) throw new Error(`${event}: ${JSON.stringify(answer)}`)
  }
  await clients.close('wave')
  await pause
}

/** What the host holds, when it has come to rest. */
async function held(child) {
  await sleep(1000)
  const children = readdirSync('/proc').filter((name) => Number(name) > 0 && parentOf(name) === child.pid)
  return {
    heap: await callIn(child, 'heap'),
    rss: memoryOf(child).rss,
    descriptors: readdirSync(`/proc/${child.pid}/fd`).length,
    processes: children.length,
  }
}

function parentOf(pid) {
  try {
    return Number(
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[1],
    )
  } catch {
    return undefined
  }
}

const line = ({ heap, rss, descriptors, processes }) =>
  `heap ${(heap / 1e6).toFixed(2)} MB, RSS ${(rss / 1e6).toFixed(0)} MB, ${descriptors} descriptors, ${processes} plugin processes`

try {
  const { child, url } = await startBesieged(start)
  const clients = await startClients()
  await clients.connect('owner', { url, auths: [{ initData: initData(1) }], mayFail: true })
  await clients.connect('attacker', { url, auths: [{ initData: initData(userIds[1]) }], mayFail: true })
  const modules = ['hostile', 'far', 'bench']
  const rest = () => clients.ask('owner', { event: 'host:restart', payload: { id: 'hostile' } })
  for (let n = 0; n < warmUps; n++) await wave(clients, url, modules[n % 3])
  await rest()
  const before = await held(child)
  console.log(`at the start: ${line(before)}`)
  let waves = 0
  for (let round = 1; round <= rounds; round++) {
    const end = performance.now() + roundMs
    const [what, args] = misdeeds[round % misdeeds.length]
    await clients.ask('attacker', { event: 'hostile:do', payload: { what, args } })
    while (performance.now() < end) await wave(clients, url, modules[waves++ % 3])
    await clients.ask('owner', { event: 'host:restart', payload: { id: round % 2 ? 'bench' : 'far' } })
    await rest()
    console.log(
      `${String(round).padStart(3)} ${what.padEnd(12)} ${String(waves * auths.length).padStart(7)} connections: ${line(await held(child))}`,
    )
  }
  const after = await held(child)
  const grown = Object.keys(most).filter((key) => after[key] - before[key] > most[key])
  console.log(`at the end:   ${line(after)}\n${grown.length === 0 ? 'what it held at the start' : `MORE: ${grown.join(', ')}`}`)
  if (grown.length > 0) process.exitCode = 1
} finally {
  await stopAll()
}
