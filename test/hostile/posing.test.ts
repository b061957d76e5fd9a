import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startTestHost } from '../../core/testing/host.ts'
import { type Heard, isAlive, Siege, until, writeHostile } from './lab.ts'

t.setTimeout(180_000)

const object = (properties: object) => ({ type: 'object', properties })
const nested = (levels: number): object => (levels === 0 ? {} : object({ in: nested(levels - 1) }))
const many = (count: number) => object(Object.fromEntries(Array.from({ length: count }, (_, n) => [`n${n}`, {}])))

/** Schemas that cost whoever compiles or runs them, or reach out; and what the host says of each. */
const poisons: Readonly<Record<string, readonly [schema: object, reason: RegExp]>> = {
  'a pattern that backtracks': [{ type: 'string', pattern: '^(a+)+$' }, /pattern that never takes long/],
  'a name that is such a pattern': [{ type: 'object', patternProperties: { '^(a|a)*$': {} } }, /pattern that never takes long/],
  '65 kB': [{ description: 'x'.repeat(65 * 1024) }, /be smaller/],
  'a remote reference': [{ $ref: 'https://evil.example/schema.json' }, /\$ref|reference|#\/\$defs/],
  'a reference to a file': [{ $ref: 'file:///etc/passwd' }, /\$ref|#\/\$defs/],
  'a reference to itself': [{ $defs: { a: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }, /neither refer to itself/],
  'references that multiply': [
    {
      $defs: Object.fromEntries(
        Array.from({ length: 12 }, (_, n) => [
          `d${n}`,
          n === 11
            ? {}
            : { allOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] },
        ]),
      ),
      $ref: '#/$defs/d0',
    },
    /be smaller/,
  ],
  'deep nesting': [nested(40), /nested deeper|levels of brackets/],
  '2,001 nodes': [many(2001), /be smaller/],
  'a keyword with code': [{ $data: '1/x', format: 'regex' }, /known in a schema/],
  'items to compare with each other': [{ type: 'array', uniqueItems: true }, /maxItems/],
}

void t.test('schemas that would cost the host are refused before any code of the plugin runs', async (t) => {
  const siege = await Siege.start(t)
  const { host } = siege
  const target = join(host.pluginDir, 'hostile')
  for (const [what, [schema, reason]] of Object.entries(poisons)) {
    await rm(target, { recursive: true, force: true })
    await until(() => !host.status().some(({ id }) => id === 'hostile'), 'it is still there', 30_000)
    const from = siege.changes.length
    await writeHostile(target, { events: { 'hostile:any': { payload: schema } }, commands: {} })
    const row = () => host.status().find(({ id, state }) => id === 'hostile' && state === 'failed')
    await until(() => reason.test(row()?.reason ?? ''), `${what}: ${JSON.stringify(row())}`, 30_000)
    t.ok((row()?.reason ?? '').length < 2000, `${what}, in a sentence`)
    t.notOk(
      siege.changes.slice(from).some(({ state }) => state === 'starting'),
      'it was not started',
    )
  }
  await siege.withstood(t)
})

void t.test('one that takes the name of another, of the core or of what comes with Patchbay stays out', async (t) => {
  const host = await startTestHost({ builtins: ['system'] })
  t.teardown(() => host.stop())
  await host.reached('system', 'running')
  const client = await host.client('owner')
  const builtins = host.status().map(({ id }) => id)
  const own = (id: string) => ({
    id,
    commands: { [`${id}:do`]: { role: 'viewer' } },
    events: { [`${id}:stats`]: { payload: {} } },
    errors: {},
    settings: { type: 'object', properties: {} },
  })
  const posed = [...builtins, 'auth', 'module']
  for (const id of posed) await writeHostile(join(host.pluginDir, id), own(id))
  await writeHostile(join(host.pluginDir, 'taker'), { ...own('taker'), events: { 'system:stats': { payload: {} } } })
  const strangers = () => host.status().filter(({ builtin }) => !builtin)
  await until(
    () => strangers().filter(({ state }) => state === 'failed').length > posed.length,
    JSON.stringify(strangers()),
    30_000,
  )
  for (const { id } of strangers()) {
    await client.ask('host:enable', { id })
    await client.ask('host:restart', { id })
  }
  for (const { id, state, reason } of strangers()) t.equal(state, 'failed', `${id}: ${reason}`)
  t.same((await readdir(host.pluginDir)).length, strangers().length)
  const stats = client.next<Heard>('system:stats')
  await client.ask('module:subscribe', { module: 'system' })
  t.type((await stats).cpu.usage, 'number', 'system is the one that it was')
  t.match(await client.ask('host:sessions'), { success: true })
})

void t.test(
  'an update that asks for more, or is broken, stays off until it asks for no more, and its neighbours go on',
  async (t) => {
    const siege = await Siege.start(t)
    const target = join(siege.host.pluginDir, 'hostile')
    const { pid } = await siege.pids()
    const greedy = { capabilities: { dbus: ['org.freedesktop.login1'], exec: ['sh'], network: true } }
    await writeHostile(target, greedy, { version: '1.0.1' })
    const reached = (state: string) =>
      until(() => siege.changes.at(-1)?.state === state, JSON.stringify(siege.changes.at(-1)), 30_000)
    await reached('disabled')
    t.match(siege.changes.at(-1)?.reason, /asks for more than it was granted: dbus:org\.freedesktop\.login1, exec:sh, network/)
    t.match(await siege.attacker.ask('hostile:ping'), { code: 'MODULE_DISABLED' })
    t.notOk(isAlive(pid), 'what asked for less was ended')
    t.match(await siege.owner.ask('host:restart', { id: 'hostile' }), { state: 'disabled' })
    await writeFile(join(target, 'contract.json'), '{ "id": "hostile", ')
    await reached('failed')
    await writeHostile(target, {}, { version: '1.0.2' })
    await siege.flows()
    t.pass('it runs again, and its events flow to whom they flowed before')
    await siege.withstood(t)
  },
)
