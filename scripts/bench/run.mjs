/**
 * Measures what Patchbay costs beside a bare Socket.IO server with the same handlers, and prints one table.
 *
 *   npm run bench                     everything, in about twenty minutes; camera and viewers need ffmpeg, app Chromium
 *   npm run bench -- --quick          the same with few, short rounds: does it work at all?
 *   npm run bench -- command fan-out  some of it: command, fan-out, system, metrics, startup, idle, process, attack, areas, camera, viewers, app
 *   npm run bench -- --long           idle for ten minutes instead of one
 *   npm run bench -- --json=FILE      leaves every figure in a file
 *   npm run bench -- --profile=DIR    leaves a CPU profile of the servers for each row that is measured under load
 *
 * Needs `npm run build` first. Every server is a process of its own: Patchbay as a user starts it (`dist/cli.js start`, with
 * NODE_ENV=production), the bare one (server-bare.mjs, bare-process.mjs) with the same Node; clients are stock
 * socket.io-clients in a third process; everything stays on the loopback. Figures of a server are its CPU time (user and
 * system, all threads) over a round, so that a busy machine disturbs them less than it would disturb a clock. Rounds of both
 * are interleaved and each ratio is taken within a round; the table has the median of the rounds and, in brackets, the
 * quartiles of the ratios. Where a target lies between the quartiles, measure again on a quieter machine.
 *
 * The exit code is 0 even if a target is missed: this is a report, not a gate.
 */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { app } from './app.mjs'
import { areas } from './areas.mjs'
import { attack } from './attack.mjs'
import { camera } from './camera.mjs'
import { command } from './command.mjs'
import { fanOut } from './fan-out.mjs'
import { idle } from './idle.mjs'
import { metrics } from './metrics.mjs'
import { process as ownProcess } from './process.mjs'
import { stopAll } from './processes.mjs'
import { startup } from './startup.mjs'
import { system } from './system.mjs'
import { table } from './table.mjs'
import { viewers } from './viewers.mjs'

const benches = {
  command,
  'fan-out': fanOut,
  system,
  metrics,
  startup,
  idle,
  process: ownProcess,
  attack,
  areas,
  camera,
  viewers,
  app,
}
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
})
const unknown = positionals.find((name) => !Object.hasOwn(benches, name))
if (unknown) throw new Error(`There is no bench ${unknown}; there are ${Object.keys(benches).join(', ')}.`)

const rows = []
try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
    const begun = performance.now()
    rows.push(...(await benches[name](options)))
    console.error(`${name}: measured in ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  }
} finally {
  await stopAll()
}
console.log(
  `\nNode ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}${options.quick ? ', quick: too short to judge by' : ''}\n`,
)
console.log(table(rows))
if (options.json) await writeFile(options.json, `${JSON.stringify(rows, undefined, 2)}\n`)
