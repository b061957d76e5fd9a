import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { TestClient } from '../../../core/testing/host.ts'
import { temporary } from '../lifecycle/lab.ts'
import { hear, until } from '../wire/lab.ts'
import { startWith, writePackage } from './package.ts'

t.setTimeout(120_000)

const viewer = { role: 'viewer', timeoutMs: 60_000, rate: { max: 1000, windowMs: 1000 } } as const
const contract: Contract = {
  id: 'own',
  commands: { 'own:pid': viewer, 'own:do': { ...viewer, payload: { type: 'string' } }, 'own:wait': viewer },
  events: { 'own:tick': { payload: { type: 'integer' } } },
}
/** It does what it is told, whatever that is. */
const body = `
  ctx.handle('own:pid', () => ({ pid: process.pid, environment: process.env }))
  ctx.handle('own:do', async (code) => ({ it: await Function('ctx', 'fs', 'load', 'return (async () => {' + code + '})()')(ctx, fs, (name) => import(name)) }))
  ctx.handle('own:wait', () => new Promise(() => {}))
  ctx.whileSubscribed((watch) => {
    const timer = setInterval(() => watch.publish('own:tick', 1), 5)
    return () => clearInterval(timer)
  })`

const pidOf = async (client: TestClient) => (await client.ask('own:pid')).pid as number
const isAlive = (pid: number) => readdirSync('/proc').includes(String(pid)) && !/^State:\s+[ZX]/m.test(statusOf(pid))
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1')
  } catch {
    return 'State:\tX'
  }
}

const ends = [
  { what: 'exits', code: 'process.exit(3)', reason: 'Its process ended with exit code 3.' },
  { what: 'is killed', code: "process.kill(process.pid, 'SIGSEGV')", reason: 'Its process was ended by SIGSEGV.' },
  {
    what: 'throws in a timer',
    code: "setTimeout(() => { throw new Error('tick') })",
    reason: 'An exception nobody caught: tick',
  },
  { what: 'rejects unhandled', code: "void Promise.reject('a text')", reason: 'An exception nobody caught: a text' },
  {
    what: 'loops without end',
    code: 'setTimeout(() => { for (;;); })',
    reason: 'Its process did not answer for 3 s and was ended.',
  },
  {
    what: 'fills its heap',
    code: 'const all = []; for (;;) all.push(new Array(1000).fill({}))',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  {
    what: 'takes memory beside its heap',
    code: 'globalThis.all = Buffer.alloc(100 * 1024 * 1024, 1)',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  {
    what: 'takes memory until it gets no more, which is an exception',
    code: 'const all = []; setTimeout(() => { for (;;) all.push(Buffer.alloc(16e6, 1)) })',
    reason: 'It used more than 64 MB of memory and was ended.',
  },
  { what: 'says that it broke', code: "ctx.fail('unplugged')", reason: 'unplugged' },
]

void t.test(
  'however it ends: who waits is answered, subscribers are told why once, and events flow again by themselves',
  async (t) => {
    const host = await startWith(t, contract, body, { pace: { retryMs: 5, silenceMs: 3000 } })
    const entry = { enabled: true, memoryMb: 64 }
    await host.writeConfig('plugins', { plugins: { own: entry } })
    const [client, owner] = [await host.client('viewer'), await host.client('owner')]
    for (const { what, code, reason } of ends) {
      await owner.ask('host:restart', { id: 'own' })
      await host.reached('own', 'running')
      await client.ask('module:subscribe', { module: 'own' })
      const pid = await pidOf(client)
      const heard = hear(client)
      const waiting = client.ask('own:wait')
      void client.ask('own:do', code)
      t.match(await waiting, { success: false, code: 'MODULE_FAILED' }, what)
      await client.next('own:tick')
      const told = heard.filter(([event, error]) => event === 'error' && !error.event)
      t.same(told, [['error', { module: 'own', code: 'MODULE_FAILED', message: reason }]], what)
      t.not(await pidOf(client), pid, what)
      t.notOk(isAlive(pid), what)
      await client.ask('module:unsubscribe', { module: 'own' })
      client.socket.offAny()
    }
    t.equal(host.host.status().find(({ id }) => id === 'own')?.state, 'running')
  },
)

void t.test('five ends in five minutes are enough; other code lets it try again', async (t) => {
  const host = await startWith(t, contract, 'process.exit(1)')
  await until(() => host.status().some(({ state }) => state === 'quarantined'), 'it is tried on', 60_000)
  const { reason } = await host.reached('own', 'quarantined')
  t.equal(reason, 'It failed five times in five minutes. Last: Its process ended with exit code 1.')
  t.equal(host.log.filter((line) => line.includes('"is starting"') && line.includes('"own"')).length, 5)
  await writePackage(join(host.pluginDir, 'own'), contract, body)
  await host.reached('own', 'running')
})

void t.test('a start that is late, and a stop that is late, end the process and all that it started', async (t) => {
  const spawner = { ...contract, capabilities: { exec: ['sleep'] } }
  const host = await startWith(t, spawner, `${body}\n  ctx.own(() => new Promise(() => {}))`, {
    pace: { stopMs: 100, retryMs: 5 },
  })
  await host.reached('own', 'running')
  const [client, owner] = [await host.client('viewer'), await host.client('owner')]
  const spawn = `const { spawn } = await load('node:child_process')
    return [{}, { detached: true }].map((options) => spawn('sleep', ['60'], options).pid)`
  const { it } = await client.ask('own:do', spawn)
  const pids = [await pidOf(client), ...(it as number[])]
  t.ok(pids.every(isAlive))
  await owner.ask('host:disable', { id: 'own' })
  t.match(host.log.join(''), /it did not stop within 0\.1 s/)
  await until(() => !pids.some(isAlive))

  const late = await startWith(t, contract, 'await new Promise(() => {})', { pace: { startMs: 3000, retryMs: 60_000 } })
  t.match(await late.reached('own', 'failed'), { reason: 'it did not start within 3 s' })
})

void t.test(
  'changed code and changed settings replace the process; the old one has ended before the new one starts',
  async (t) => {
    const settings = { type: 'object', properties: { n: { type: 'integer', default: 0 } }, additionalProperties: false }
    const file = join(await temporary(t), 'lives')
    const log = (version: number) => `
    fs.appendFileSync('${file}', 'start ${version} ' + ctx.settings.n + '\\n')
    ctx.own(async () => {
      await new Promise((resolve) => setTimeout(resolve, 50))
      fs.appendFileSync('${file}', 'stop ${version}\\n')
    })
    ${body}`
    const logger: Contract = { ...contract, settings, capabilities: { files: { write: [file] } } }
    const host = await startWith(t, logger, log(1))
    await host.reached('own', 'running')
    const client = await host.client('viewer')
    await client.ask('module:subscribe', { module: 'own' })
    const pids = [await pidOf(client)]
    const replaced = async () => {
      for (;;) {
        const { success, pid } = await client.ask('own:pid')
        if (success && !pids.includes(pid as number)) return void pids.push(pid as number)
      }
    }
    await writePackage(join(host.pluginDir, 'own'), logger, log(2), '2.0.0')
    await replaced()
    t.match(await host.reached('own', 'running'), { version: '2.0.0' })
    t.notOk(host.host.status().some(({ restartPending }) => restartPending))
    await host.writeConfig('plugins', { plugins: { own: { enabled: true, grants: [`file-write:${file}`], settings: { n: 7 } } } })
    await replaced()
    await client.next('own:tick')
    const lives = readFileSync(file, 'utf8')
    t.match(lives, /^start 1 0\nstop 1\n(start 2 0\nstop 2\n)+start 2 7\n$/)
  },
)

void t.test(
  'settings that do not fit, and a contract with a schema that is none, are told in a sentence and not tried again',
  async (t) => {
    const settings = { type: 'object', properties: { n: { type: 'integer', default: 0 } }, additionalProperties: false }
    const host = await startWith(t, { ...contract, settings }, body, { settings: { own: { n: 'many' } } })
    t.match(await host.reached('own', 'failed'), { reason: /^Its settings in plugins\.json do not fit: n must be integer/ })
    const odd = { id: 'odd', events: { 'odd:value': { payload: { type: 'number', maximum: 'ten' } } } } as unknown as Contract
    const other = await startWith(t, odd, "fs.writeFileSync('/tmp/never', '')")
    t.match(await other.reached('odd', 'failed'), { reason: /^Its contract has a schema that is none: / })
  },
)

void t.test('what it costs can be asked: of the kernel, and of its last sign of life', async (t) => {
  const host = await startWith(t, contract, body)
  await host.reached('own', 'running')
  const client = await host.client('viewer')
  const pid = await pidOf(client)
  const figures = () => host.host.figures('own')
  const { rss = 0, ownMemory = 0, ...rest } = figures() ?? {}
  t.match(rest, { pid, cpuS: Number, loopDelayMs: Number, waiting: 0 })
  t.ok(ownMemory > 5e6 && rss > ownMemory && rss < 300e6, `${ownMemory} of ${rss}`)
  await client.ask('own:do', 'const end = Date.now() + 1500; while (Date.now() < end); return 1')
  await until(() => (figures()?.loopDelayMs ?? 0) > 100)
  t.ok((figures()?.cpuS ?? 0) > 0.1)
  process.kill(pid, 'SIGSTOP')
  process.kill(pid, 'SIGCONT')
  t.equal(await pidOf(client), pid)
  t.equal(host.host.figures('host'), undefined)
})

void t.test('it inherits nothing of the host’s environment that it has no use for', async (t) => {
  process.env.LAB_SECRET = 'open sesame'
  const host = await startWith(t, contract, body)
  await host.reached('own', 'running')
  const client = await host.client('viewer')
  const { environment } = (await client.ask('own:pid')) as unknown as { environment: Record<string, string> }
  t.notMatch(JSON.stringify(environment), /open sesame|TELEGRAM|NODE_OPTIONS/)
})
