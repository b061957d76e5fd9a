import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startTestHost } from '../../../core/testing/host.ts'
import { temporary } from '../lifecycle/lab.ts'
import { until } from '../wire/lab.ts'
import { body, contract, isAlive, pidOf } from './obedient.ts'
import { startWith, writePackage } from './package.ts'

t.setTimeout(120_000)

void t.test('five ends in five minutes are enough; other code, other settings or an owner let it try again', async (t) => {
  const settings = { type: 'object', properties: { n: { type: 'integer', default: 0 } }, additionalProperties: false }
  const dir = await temporary(t)
  const write = (id: string, to: string, code: string) => writePackage(join(to, id), { id, settings }, code)
  // What lies in node_modules is no part of its code.
  const code = "if (ctx.settings.n === 0 && !fs.existsSync(new URL('./node_modules/mended', import.meta.url))) process.exit(1)"
  const ids = ['code', 'settings', 'owner']
  const host = await startTestHost({ pace: { retryMs: 5 }, plugins: await Promise.all(ids.map((id) => write(id, dir, code))) })
  t.teardown(() => host.stop())
  const isGivenUp = (each: string) => host.status().some(({ id, state }) => id === each && state === 'quarantined')
  await until(() => ids.every(isGivenUp), 'they are tried on', 60_000)
  for (const { id, reason } of host.status().filter(({ builtin }) => !builtin)) {
    t.equal(reason, 'It failed five times in five minutes. Last: Its process ended with exit code 1.')
    t.equal(host.log.filter((line) => line.includes('"is starting"') && line.includes(`"${id}"`)).length, 5)
  }
  const owner = await host.client('owner')
  await write('code', host.pluginDir, '')
  await host.reached('code', 'running')
  const file = join(host.configDir, 'plugins.json')
  const { plugins } = JSON.parse(readFileSync(file, 'utf8')) as { plugins: Record<string, object> }
  await host.writeConfig('plugins', { plugins: { ...plugins, settings: { enabled: true, settings: { n: 1 } } } })
  await host.reached('settings', 'running')
  t.ok(isGivenUp('owner'), 'what happens to the others is no reason')
  mkdirSync(join(host.pluginDir, 'owner/node_modules/mended'), { recursive: true })
  t.match(await owner.ask('host:release', { id: 'owner' }), { success: true, state: 'running' })
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
