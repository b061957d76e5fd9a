import { fork, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { callIn } from './remote.mjs'

export const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const dist = path('../../dist/')
const botToken = '123456789:bench-bench-bench-bench-bench-bench'
const preloaded = ['--import', new URL('./probe.mjs', import.meta.url).href]
const running = new Set()
const directories = new Set()

/** Users with these ids may enter, as operators, so that every command is really authorized. */
export const userIds = Array.from({ length: 1000 }, (_, index) => 1001 + index)

/** Limits that none of the benches reaches: 1,000 sockets come from one address, and one user gives all commands. */
const limits = { socketsPerAddress: 100_000, pendingPerAddress: 100_000, socketsPerUser: 100_000, inFlightPerUser: 1024 }

/** How many plugins run when nothing is configured. */
export const startedByDefault = readdirSync(join(dist, 'plugins')).filter(
  (id) => !JSON.parse(readFileSync(join(dist, 'plugins', id, 'contract.json'), 'utf8')).optIn,
).length

/** Configuration and data of a Patchbay in directories of its own. Without `plugins` those that come with it are on, as by default. */
export async function prepare(plugins) {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-bench-'))
  directories.add(dir)
  const [configDir, dataDir] = [join(dir, 'config'), join(dir, 'data')]
  await mkdir(configDir)
  await mkdir(join(dataDir, 'plugins'), { recursive: true, mode: 0o700 })
  const write = (name, content) => writeFile(join(configDir, `${name}.json`), JSON.stringify(content), { mode: 0o600 })
  if (plugins) {
    await cp(path('./plugin'), join(dataDir, 'plugins/bench'), { recursive: true })
    const entry = (id) => [id, { enabled: plugins.includes(id), ...(id === 'bench' && { runIn: 'host' }) }]
    await write('plugins', { plugins: Object.fromEntries([...readdirSync(join(dist, 'plugins')), 'bench'].map(entry)) })
    await write('host', { limits })
  }
  await write('access', { users: Object.fromEntries([[1, 'owner'], ...userIds.map((id) => [id, 'operator'])]) })
  return {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    PATCHBAY_CONFIG_DIR: configDir,
    PATCHBAY_DATA_DIR: dataDir,
    PATCHBAY_PORT: '0',
    TELEGRAM_BOT_TOKEN: botToken,
  }
}

/** Patchbay with the plugins of these ids (`bench` is the one in plugin/), ready for clients. */
export async function startPatchbay(plugins) {
  const child = start([join(dist, 'cli.js'), 'start'], await prepare(plugins))
  const url = await lineOf(child, /"url":"([^"]+)".*"is ready"/)
  return serverOf(child, url)
}

/** The bare Socket.IO server. */
export async function startBare() {
  const child = start([path('./server-bare.mjs')], { PATH: process.env.PATH, NODE_ENV: 'production' })
  return serverOf(child, await lineOf(child, /listening on (\S+)/))
}

/** The process that the clients live in. */
export async function startClients() {
  const child = fork(path('./clients.mjs'), { stdio: 'inherit' })
  running.add(child)
  return new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : (...args) => callIn(child, name, ...args)) })
}

export function serverOf(child, url) {
  return {
    url,
    child,
    /** What the server spends while `work` is done: CPU microseconds. */
    async cost(work) {
      const before = await callIn(child, 'cpu')
      await work()
      return (await callIn(child, 'cpu')) - before
    },
    ask: (name, ...args) => callIn(child, name, ...args),
  }
}

/** Starts a server that can be asked for its costs. */
export function start(args, env) {
  const child = spawn(process.execPath, [...preloaded, ...args], { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  running.add(child)
  return child
}

/** Starts a program as a user would: nothing is added. */
export function startPlain(args, env) {
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  return child
}

/** What the pattern captures, as soon as the output so far has `times` matches. */
export function lineOf(child, pattern, times = 1) {
  return new Promise((resolve, reject) => {
    let output = ''
    const hear = (chunk) => {
      output += chunk
      const found = [...output.matchAll(new RegExp(pattern, 'g'))]
      if (found.length < times) return
      // What follows may be very much.
      child.stdout.off('data', hear).resume()
      resolve(found[0][1])
    }
    child.stdout.on('data', hear)
    child.once('exit', (code) => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}:\n${output}`)))
  })
}

export async function stop(child) {
  running.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}

export async function stopAll() {
  await Promise.all([...running].map(stop))
  for (const dir of directories) await rm(dir, { recursive: true, force: true })
}

/** CPU milliseconds of all threads of a process so far, to the nanosecond; it is not woken for that. */
export function cpuOf({ pid }) {
  const threads = readdirSync(`/proc/${pid}/task`)
  const spent = threads.map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]))
  return spent.reduce((sum, ns) => sum + ns, 0) / 1e6
}

/** Bytes of memory of a process: all, and without what other processes share (the program file itself, mostly). */
export function memoryOf({ pid }) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const kB = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1])
  return { rss: kB('Rss') * 1024, own: (kB('Private_Dirty') + kB('Private_Clean')) * 1024 }
}

/** Signs init data as Telegram would for the bot. */
export function initData(id) {
  const pairs = { auth_date: String(Math.floor(Date.now() / 1000)), user: JSON.stringify({ id, first_name: `Bench ${id}` }) }
  const text = Object.entries(pairs).map(([key, value]) => `${key}=${value}`)
  const secret = createHmac('sha256', 'WebAppData').update(botToken).digest()
  const hash = createHmac('sha256', secret).update(text.sort().join('\n')).digest('hex')
  return new URLSearchParams({ ...pairs, hash }).toString()
}
