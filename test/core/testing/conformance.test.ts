import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { conformance } from '../../../core/testing/conformance.ts'
import { temporary } from '../lifecycle/lab.ts'

t.setTimeout(240_000)

const good = {
  contract: {
    id: 'probe',
    commands: { 'probe:set': { payload: { type: 'object', additionalProperties: false }, rate: { max: 1, windowMs: 60_000 } } },
    events: { 'probe:value': { payload: { type: 'integer' }, retained: true } },
    errors: { PROBE_LOST: 'The probe is lost.' },
  } as object,
  /** What the code says of itself. */
  declared: 'contract',
  readme: '`probe:set`, `probe:value`, `PROBE_LOST`',
  start: `ctx.handle('probe:set', () => undefined)
    ctx.whileSubscribed((watch) => {
      const timer = setInterval(() => watch.publish('probe:value', 1), 1000)
      return () => clearInterval(timer)
    })`,
}
type Probe = typeof good

async function write(t: Test, { contract, declared, readme, start }: Probe): Promise<string> {
  const dir = join(await temporary(t), 'probe')
  await mkdir(dir)
  const manifest = { name: 'probe', version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  const code = `import { spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { createServer } from 'node:net'
import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(${declared}, { async start(ctx) {
${start}
} })
`
  const files = {
    'package.json': JSON.stringify(manifest),
    'contract.json': JSON.stringify(contract),
    'index.js': code,
    'README.md': readme,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return dir
}

/** Runs the checks whose names fit and returns why they failed. */
async function failures(dir: string, which = /./): Promise<string[]> {
  const messages: string[] = []
  const test = (name: string, body: () => Promise<void>) =>
    which.test(name) && body().catch((error: Error) => void messages.push(`${name}: ${error.message}`))
  await conformance({ test }, { dir })
  return messages
}

void t.test('a good plugin passes every check', async (t) => {
  t.same(await failures(await write(t, good)), [])
})

void t.test('routes, findings with a mend, missing devices and codes of the system are no failures', async (t) => {
  const contract = { ...good.contract, routes: { 'GET /': {}, 'GET /all': { token: true } } }
  const missing = { kind: 'device', name: '/dev/probe', ok: false, optional: true, sentence: 'There is none.' }
  const weak = { kind: 'tool', name: 'x', ok: false, optional: true, sentence: 'It is old.', mend: 'sudo apt-get install x' }
  const start = `${good.start}
    for (const route of ['GET /', 'GET /all']) ctx.serve(route, () => ({ type: 'text/plain', body: 'here' }))
    ctx.diagnose(() => ${JSON.stringify([missing, weak])})
    const gone = Object.assign(new Error('gone'), { code: 'ENOENT' })
    ctx.own(() => ctx.error(gone.code === 'ENOENT' ? 'PROBE_LOST' : 'FORBIDDEN'))`
  const readme = `${good.readme}, \`http://127.0.0.1:8080/probe\`, \`GET /probe/all\``
  t.same(await failures(await write(t, { ...good, contract, start, readme }), /README|hands out|routes|finds/), [])
})

void t.test('a plugin behind tokens is visited by who has one', async (t) => {
  const { errors } = good.contract as { errors: object }
  const contract = {
    id: 'probe',
    policy: 'jwt',
    errors,
    commands: { set: { roles: ['user'], payload: { type: 'object', additionalProperties: false } } },
    events: { value: { payload: { type: 'integer' }, retained: true } },
    routes: { 'GET /': { roles: ['*'] } },
  }
  const start = `ctx.handle('set', () => undefined)
    ctx.publish('value', 1)
    ctx.serve('GET /', () => ({ json: 1 }))`
  const readme = '`set` `value` `PROBE_LOST` `GET /probe`'
  t.same(await failures(await write(t, { ...good, contract, start, readme }), /README|bad payloads|routes|cycles/), [])
  const careless = `${start}; setInterval(() => {}, 1e6).unref(); ctx.onDisconnect(() => void setInterval(() => {}, 1e6).unref())`
  const [leak] = await failures(await write(t, { ...good, contract, start: careless, readme }), /cycles(?!.*process of its own)/)
  t.match(leak, /Timeout/)
})

const bad: ReadonlyArray<[what: string, check: RegExp, probe: Partial<Probe>, why: RegExp]> = [
  ['has a command that its README does not name', /README/, { readme: '`probe:value` `PROBE_LOST` probe:set' }, /probe:set/],
  ['has an event that its README does not name', /README/, { readme: '`probe:set` `PROBE_LOST`' }, /probe:value/],
  ['has an error code that its README does not name', /README/, { readme: '`probe:set` `probe:value`' }, /PROBE_LOST/],
  ['declares something else in its code', /declares/, { declared: "{ ...contract, description: 'other' }" }, /other/],
  ['does not start', /starts/, { start: "throw new Error('no probe')" }, /it is failed: no probe/],
  ['leaves a timer behind', /starts/, { start: `${good.start}; setInterval(() => {}, 1e6).unref()` }, /Timeout/],
  ['leaves a server behind', /starts/, { start: `${good.start}; createServer().listen(0).unref()` }, /TCPSERVERWRAP/],
  ['leaves a file open', /starts/, { start: `${good.start}; openSync('/dev/null')` }, /descriptors/],
  ['leaves a listener behind', /starts/, { start: `${good.start}; process.on('SIGUSR2', () => {})` }, /listeners/],
  ['throws when it stops', /starts/, { start: `${good.start}; ctx.own(() => { throw new Error('stuck') })` }, /a release failed/],
  [
    'has a command that takes anything',
    /refuses/,
    { contract: { id: 'probe', commands: { 'probe:set': { payload: {} } } } },
    /probe:set takes anything/,
  ],
  [
    'fails where there is no system bus',
    /missing/,
    {
      contract: { id: 'probe', capabilities: { dbus: ['org.example'] } },
      start: "await ctx.dbus.call({ service: 'org.example', path: '/', interface: 'org.example', method: 'Go' })",
    },
    /without a system bus it fails/,
  ],
  [
    'keeps a timer of every subscription',
    /cycles/,
    { start: `${good.start}; ctx.onSubscribe(() => void setInterval(() => {}, 1e6).unref())` },
    /Timeout/,
  ],
  [
    'hands out a code that it does not declare',
    /hands out/,
    { start: `${good.start}; if (ctx.settings.never) throw ctx.error('PROBE_GONE')` },
    /PROBE_GONE/,
  ],
  [
    'has a driver whose errors carry a code that it does not declare',
    /hands out/,
    { start: `${good.start}; const gone = Object.assign(new Error('gone'), { code: 'PROBE_GONE', errno: 'EIO' })` },
    /PROBE_GONE/,
  ],
  [
    'publishes what does not fit',
    /cycles/,
    { start: `${good.start}; ctx.onSubscribe(() => ctx.publish('probe:value', 'often'))` },
    /does what its contract does not say/,
  ],
  [
    'has a route that its README does not name',
    /README/,
    { contract: { id: 'probe', routes: { 'GET /': {}, 'GET /raw.json': {} } }, readme: '`GET /probe` `/probe/rawxjson`' },
    /'\/probe\/raw\.json'/,
  ],
  ['does not serve its route', /routes/, { contract: { id: 'probe', routes: { 'GET /': {} } }, start: '' }, /GET \//],
  [
    'fails at its route',
    /routes/,
    { contract: { id: 'probe', routes: { 'GET /': {} } }, start: "ctx.serve('GET /', () => { throw new Error('lost') })" },
    /is answered 500/,
  ],
  [
    'finds something and does not say how to mend it',
    /finds/,
    { start: `${good.start}; ctx.diagnose(() => [{ kind: 'tool', name: 'x', ok: false, optional: true, sentence: 'No x.' }])` },
    /no command mends it/,
  ],
  [
    'finds something and has no sentence for it',
    /finds/,
    { start: `${good.start}; ctx.diagnose(() => [{ kind: 'tool', name: 'x', ok: true, optional: true, sentence: 'x' }])` },
    /"x" is no sentence/,
  ],
  // What it leaves is still there for 15 s, and would be seen by a check after it.
  ['leaves a program behind', /starts/, { start: `${good.start}; spawn('sleep', ['15']).unref()` }, /PROCESSWRAP/],
]

for (const [what, check, probe, why] of bad)
  void t.test(`a plugin that ${what} is caught`, async (t) => {
    // In a process of its own it fails as well, or is spared because its process has ended.
    const messages = await failures(
      await write(t, { ...good, ...probe }),
      new RegExp(`(${check.source})(?!.*process of its own)`),
    )
    t.equal(messages.length, 1)
    t.match(messages[0], why)
  })
