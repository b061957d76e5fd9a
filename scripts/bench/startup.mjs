import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuOf, lineOf, path, prepare, startedByDefault, startPlain, stop } from './processes.mjs'
import { pair } from './table.mjs'

const dist = path('../../dist')

/** From the start of the process to a listening port, with everything that comes with Patchbay switched on. */
export async function startup({ quick }) {
  const env = await prepare()
  const bareEnv = { PATH: process.env.PATH, NODE_ENV: 'production' }
  const starts = {
    ours: (port) => ({ args: [join(dist, 'cli.js'), 'start'], env: { ...env, PATCHBAY_PORT: port }, running: startedByDefault }),
    bare: (port) => ({ args: [path('./bare-process.mjs')], env: { ...bareEnv, PORT: port }, running: 1 }),
  }
  const files = await filesRead(starts, bareEnv)

  const once = async (name) => {
    const port = await freePort()
    const { args, env, running } = starts[name](String(port))
    const begun = performance.now()
    const child = startPlain(args, env)
    const isRunning = lineOf(child, /is running/, running).then(() => performance.now() - begun)
    await accepts(port)
    const listening = performance.now() - begun
    const ready = await isRunning
    const cpu = cpuOf(child)
    await stop(child)
    return { listening, ready, cpu }
  }
  const measure = async (rounds, before) => {
    const found = []
    for (let round = 0; round < rounds; round++) {
      const both = {}
      for (const name of round % 2 ? ['ours', 'bare'] : ['bare', 'ours']) {
        before(name)
        both[name] = await once(name)
      }
      found.push(both)
    }
    const pick = (figure) => found.map(({ ours, bare }) => ({ ours: ours[figure], bare: bare[figure] }))
    return { listening: pick('listening'), ready: pick('ready'), cpu: pick('cpu') }
  }
  for (const name of ['bare', 'ours']) await once(name)
  const warm = await measure(quick ? 3 : 11, () => {})
  const cold = await measure(quick ? 1 : 5, (name) => forget(files[name]))
  return [
    pair('start to listening, files in memory', 'ms', warm.listening, 1.4),
    pair('start to listening, files on disk', 'ms', cold.listening, 1.4),
    pair('  start to all plugins running, files in memory', 'ms', warm.ready),
    pair('  start to all plugins running, files on disk', 'ms', cold.ready),
    pair('  CPU until then, files in memory', 'ms', warm.cpu),
  ]
}

/** Files that a start reads, besides Node itself. */
async function filesRead(starts, bareEnv) {
  const child = startPlain(starts.bare('0').args, { ...bareEnv, PORT: '0', LIST_FILES: '1' })
  const bare = JSON.parse(await lineOf(child, /files (\[.*\]) end/))
  await stop(child)
  const ours = readdirSync(dist, { recursive: true }).map((name) => join(dist, name))
  const manifests = new Set(bare.map((file) => join(dirname(file), 'package.json')))
  return { ours: ours.filter((name) => /\.(js|json|html)$/.test(name)), bare: [...bare, ...manifests] }
}

/** Has the kernel drop its copies of these files (they are clean), so that the next start reads the disk. Node's own stay. */
function forget(files) {
  const script = 'while IFS= read -r file; do dd if="$file" iflag=nocache count=0 status=none 2>&-; done'
  spawnSync('sh', ['-c', script], { input: files.join('\n') })
}

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves when somebody accepts connections there. */
async function accepts(port) {
  for (;;) {
    const isOpen = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    })
    if (isOpen) return
    await sleep(2)
  }
}
