import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { deferred, type Loose, startLab, temporary, writePlugin } from './lab.ts'

const viewer = { role: 'viewer' } as const

/** A contract with a command, a retained event and one that is not. */
const contract = (id: string, more: Partial<Contract> = {}): Contract => ({
  id,
  commands: { [`${id}:ask`]: viewer },
  events: {
    [`${id}:value`]: { payload: { type: 'integer' }, retained: true },
    [`${id}:tick`]: { payload: { type: 'integer' } },
  },
  ...more,
})

void t.test(
  'a plugin whose tool is missing is unavailable, starts when it appears, and serves who subscribed meanwhile',
  async (t) => {
    const bin = await temporary(t)
    process.env.PATH = `${bin}:${process.env.PATH}`
    const needs = { tools: { 'lab-tool': { package: 'lab-tools' } } }
    const start = (ctx: Loose) => {
      ctx.handle('needy:ask', () => undefined)
      ctx.publish('needy:value', 7)
    }
    const host = await startLab(t, [{ contract: contract('needy', { needs }), start }])
    const { reason } = await host.reached('needy', 'unavailable')
    t.equal(reason, 'The program lab-tool is not installed. Mend it with: sudo apt-get install lab-tools')
    const client = await host.client('viewer')
    t.same(await client.ask('module:subscribe', { module: 'needy' }), { success: true, state: 'unavailable', reason })
    t.match(await client.ask('needy:ask'), { success: false, code: 'MODULE_UNAVAILABLE', error: /lab-tool is not installed/ })

    const value = client.next('needy:value')
    await writeFile(join(bin, 'lab-tool'), '#!/bin/sh\n')
    await chmod(join(bin, 'lab-tool'), 0o755)
    t.equal(await value, 7)
    t.same(await client.ask('needy:ask'), { success: true })

    await rm(join(bin, 'lab-tool'))
    await host.reached('needy', 'unavailable')
    t.match(await client.ask('needy:ask'), { code: 'MODULE_UNAVAILABLE' })
  },
)

void t.test('what its settings ask to be simulated needs nothing, and says what it is wherever its state is told', async (t) => {
  const settings = { type: 'object', properties: { simulated: { type: 'boolean', default: false } }, additionalProperties: false }
  const needs = { tools: { 'lab-tool-nowhere': { package: 'lab-tools' } } }
  const start = (ctx: Loose) => {
    ctx.handle('lamp:ask', () => ctx.settings.simulated)
  }
  const lamp = { contract: contract('lamp', { needs, settings }), start }
  const host = await startLab(t, [lamp], { settings: { lamp: { simulated: true } } })
  const said = { state: 'running', reason: 'SIMULATED: its settings ask for hardware that is not real.' } as const
  t.match(await host.reached('lamp', 'running', 'unavailable'), { ...said, simulated: true })
  const client = await host.client('viewer')
  t.same(await client.ask('module:subscribe', { module: 'lamp' }), { success: true, ...said })
  t.ok(host.log.some((line) => line.includes('"plugin":"lamp"') && line.includes(said.reason)))
  const owner = await host.client('owner')
  const { plugins } = (await owner.ask('host:doctor')) as unknown as { plugins: Array<{ id: string; findings: object[] }> }
  t.match(plugins.find(({ id }) => id === 'lamp')?.findings, [{ kind: 'simulated', ok: true, sentence: said.reason }])

  await host.writeConfig('plugins', { plugins: { lamp: { enabled: true, runIn: 'host' } } })
  const real = await host.reached('lamp', 'unavailable')
  t.match(real.reason, /lab-tool-nowhere/)
  t.notOk(real.simulated)
})

void t.test(
  'a failed start releases what was owned, last first, and is tried again until quarantine; release lets it out',
  async (t) => {
    const told: string[] = []
    let isBroken = true
    const start = (ctx: Loose) => {
      told.push('start')
      ctx.own(() => told.push('first'))
      ctx.own(() => told.push('second'))
      if (isBroken) throw new Error('no device')
      ctx.handle('weak:ask', () => undefined)
    }
    const host = await startLab(t, [{ contract: contract('weak'), start }])
    const { reason } = await host.reached('weak', 'quarantined')
    t.equal(reason, 'It failed five times in five minutes. Last: no device')
    t.same(told, Array(5).fill(['start', 'second', 'first']).flat())
    const client = await host.client('owner')
    t.match(await client.ask('weak:ask'), { code: 'MODULE_FAILED', error: /quarantined: It failed five times/ })
    isBroken = false
    t.same(await client.ask('host:release', { id: 'weak' }), { success: true, state: 'running' })
    t.same(await client.ask('weak:ask'), { success: true })
  },
)

void t.test('the pause before each new try is twice the one before', async (t) => {
  const at: number[] = []
  const start = () => {
    at.push(performance.now())
    throw new Error('no device')
  }
  const host = await startLab(t, [{ contract: contract('weak'), start }], { pace: { retryMs: 20 } })
  await host.reached('weak', 'quarantined')
  const pauses = at.slice(1).map((time, index) => time - (at[index] as number))
  for (const [index, pause] of pauses.entries()) t.ok(pause >= 19 * 2 ** index, `pause ${index}: ${pause} ms`)
})

void t.test('a start that takes too long fails, its signal is aborted, and what it owns later is released at once', async (t) => {
  const released = deferred()
  const start = async (ctx: Loose) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
    ctx.own(() => released.resolve())
  }
  const host = await startLab(t, [{ contract: contract('slow'), start }], { pace: { startMs: 50, retryMs: 60_000 } })
  const { reason } = await host.reached('slow', 'failed')
  t.equal(reason, 'it did not start within 0.05 s')
  await released.promise
})

void t.test('a stop that takes too long is not waited for', async (t) => {
  const start = (ctx: Loose) => {
    ctx.handle('stuck:ask', () => undefined)
    ctx.own(() => new Promise(() => undefined))
  }
  const host = await startLab(t, [{ contract: contract('stuck'), start }], { pace: { stopMs: 50 } })
  await host.reached('stuck', 'running')
  const client = await host.client('owner')
  t.match(await client.ask('host:disable', { id: 'stuck' }), { success: true, state: 'disabled' })
  t.match(host.log.join(''), /it did not stop within 0\.05 s/)
})

void t.test('a host that stops waits for no plugin that hangs, and saves its sessions', async (t) => {
  const start = (ctx: Loose) => {
    ctx.handle('stuck:ask', () => undefined)
    ctx.own(() => new Promise(() => undefined))
  }
  const host = await startLab(t, [{ contract: contract('stuck'), start }], { pace: { quitMs: 50 } })
  await host.reached('stuck', 'running')
  await host.client('owner')
  await host.host.stop()
  t.match(host.log.join(''), /some plugins do not stop.*plugins did not stop/)
  t.match(await readFile(join(host.dataDir, 'sessions.json'), 'utf8'), /telegram:1000/)
})

void t.test('settings come with their defaults, wrong ones give a sentence, a change restarts that plugin alone', async (t) => {
  const settings = {
    type: 'object',
    properties: { everyS: { type: 'integer', default: 5, minimum: 1 } },
    additionalProperties: false,
  }
  const seen: unknown[] = []
  const start = (ctx: Loose) => {
    seen.push([ctx.id, ctx.settings])
    ctx.handle(`${ctx.id}:ask`, () => undefined)
  }
  const host = await startLab(t, [
    { contract: contract('one', { settings }), start },
    { contract: contract('two', { settings }), start },
  ])
  await Promise.all([host.reached('one', 'running'), host.reached('two', 'running')])
  t.same(
    new Map(seen as [string, object][]),
    new Map([
      ['one', { everyS: 5 }],
      ['two', { everyS: 5 }],
    ]),
  )
  const entries = (everyS: unknown) => ({
    plugins: { one: { enabled: true, runIn: 'host', settings: { everyS } }, two: { enabled: true, runIn: 'host' } },
  })

  await host.writeConfig('plugins', entries('often'))
  const { reason } = await host.reached('one', 'failed')
  t.match(reason, /^Its settings in plugins\.json do not fit: everyS must be integer/)
  await host.writeConfig('plugins', entries(9))
  await host.reached('one', 'running')
  t.same(seen.slice(2), [['one', { everyS: 9 }]])
})

void t.test('switching a plugin off answers what is in flight, forgets its values, and nobody else notices', async (t) => {
  const order: string[] = []
  const asked = deferred()
  const start = (ctx: Loose) => {
    ctx.publish(`${ctx.id}:value`, 1)
    ctx.own(() => order.push('first'))
    ctx.whileSubscribed(() => () => order.push('work'))
    ctx.own(() => order.push('second'))
    ctx.signal.addEventListener('abort', () => order.push('signal'))
    ctx.handle(`${ctx.id}:ask`, (_, call) => {
      call.signal.addEventListener('abort', () => order.push('call'))
      asked.resolve()
      return new Promise(() => undefined)
    })
  }
  let tick = (_: number): void => void t.fail('it has not started')
  const neighbour = (ctx: Loose) => {
    ctx.handle('calm:ask', () => undefined)
    tick = (value) => ctx.publish('calm:tick', value)
  }
  const host = await startLab(t, [
    { contract: contract('leaver'), start },
    { contract: contract('calm'), start: neighbour },
  ])
  await Promise.all([host.reached('leaver', 'running'), host.reached('calm', 'running')])
  const [client, owner] = [await host.client('viewer'), await host.client('owner')]
  const snapshot = client.next('leaver:value')
  for (const module of ['leaver', 'calm']) await client.ask('module:subscribe', { module })
  t.equal(await snapshot, 1)
  const answer = client.ask('leaver:ask')
  await asked.promise
  const { since } = await host.reached('calm', 'running')

  t.match(await owner.ask('host:disable', { id: 'leaver' }), { success: true, state: 'disabled' })
  t.match(await answer, { success: false, code: 'MODULE_UNAVAILABLE', error: 'leaver is stopping.' })
  t.same(order, ['signal', 'call', 'work', 'second', 'first'])
  t.match(await client.ask('leaver:ask'), { code: 'MODULE_DISABLED' })
  client.socket.on('leaver:value', () => t.fail('a stale value'))
  await client.ask('module:unsubscribe', { module: 'leaver' })
  t.match(await client.ask('module:subscribe', { module: 'leaver' }), { success: true, state: 'disabled' })

  const next = client.next('calm:tick')
  tick(3)
  t.equal(await next, 3)
  t.ok(client.socket.connected)
  t.equal((await host.reached('calm', 'running')).since, since)
})

void t.test('a plugin that has stopped has no effect any more, not even on its own next run', async (t) => {
  const contexts: Loose[] = []
  const watches: Array<{ publish(event: string, value: number): void; forget(event: string): void }> = []
  const start = (ctx: Loose) => {
    contexts.push(ctx)
    ctx.handle('ghost:ask', () => ({ run: contexts.length }))
    ctx.publish('ghost:value', contexts.length)
    ctx.whileSubscribed((watch) => void watches.push(watch as unknown as (typeof watches)[number]))
  }
  const host = await startLab(t, [{ contract: contract('ghost', { errors: { GHOST: 'Boo.' } }), start }])
  await host.reached('ghost', 'running')
  const client = await host.client('owner')
  await client.ask('module:subscribe', { module: 'ghost' })
  t.match(await client.ask('host:restart', { id: 'ghost' }), { success: true, state: 'running' })
  client.socket.onAny((event) => event !== 'ghost:value' && t.fail(`heard ${event}`))
  const [old] = contexts as [Loose]
  old.publish('ghost:tick', 1)
  old.forget('ghost:value')
  old.handle('ghost:ask', () => t.fail('an old handler'))
  old.provide('ghost:value', () => 99)
  old.publishError('GHOST')
  old.fail('it is over')
  old.onSubscribe(() => void t.fail('an old listener'))
  watches[0]?.publish('ghost:tick', 2)
  watches[0]?.forget('ghost:value')
  t.match(await client.ask('ghost:ask'), { success: true, run: 2 })
  const other = await host.client('viewer')
  const value = other.next('ghost:value')
  await other.ask('module:subscribe', { module: 'ghost' })
  t.equal(await value, 2)
  t.equal(host.host.status().find(({ id }) => id === 'ghost')?.state, 'running')
})

void t.test('a command that nobody handles fails the start, and so does one handled twice or not declared', async (t) => {
  const two = contract('two')
  const host = await startLab(
    t,
    [
      { contract: contract('none'), start: () => undefined },
      { contract: two, start: (ctx) => [1, 2].map(() => ctx.handle('two:ask', () => undefined)) },
      { contract: contract('other'), start: (ctx) => ctx.handle('other:dance', () => undefined) },
    ],
    { pace: { retryMs: 60_000 } },
  )
  t.match(await host.reached('none', 'failed'), {
    reason: 'its contract declares the command none:ask, which it does not handle',
  })
  t.match(await host.reached('two', 'failed'), { reason: '"two:ask" is handled already.' })
  t.match(await host.reached('other', 'failed'), { reason: 'The contract of other has no command "other:dance".' })
})

void t.test('of two plugins with one id the second starts when the first has gone; an unknown policy is refused', async (t) => {
  const start = (ctx: Loose) => ctx.publish('twin:value', 1)
  const twin = { contract: { id: 'twin', events: { 'twin:value': { payload: {}, retained: true } } }, start }
  const host = await startLab(t, [twin, { contract: { id: 'strange', policy: 'secret' }, start }])
  await host.reached('twin', 'running')
  t.match(await host.reached('strange', 'failed'), { reason: 'its auth policy "secret" is not known to this host' })
  await writePlugin(join(host.pluginDir, 'another'), twin)
  t.match(await host.reached('twin', 'failed'), { reason: /^the id twin belongs to .*twin; remove one of the two/ })
  const client = await host.client('owner')
  const value = client.next('twin:value')
  await client.ask('module:subscribe', { module: 'twin' })
  await value
  t.match(await client.ask('host:restart', { id: 'twin' }), { state: 'running' }, 'it is the first that is meant')
  await client.ask('module:subscribe', { module: 'host' })
  const alone = client.next<PluginStatus[]>('host:plugins', (plugins) => {
    const twins = plugins.filter(({ id }) => id === 'twin')
    return twins.length === 1 && twins[0]?.state === 'running'
  })
  await rm(join(host.pluginDir, 'twin'), { recursive: true })
  await alone
})

void t.test('a plugin that fails is tried again, and several failures at once are one', async (t) => {
  const contexts: Loose[] = []
  const started = [deferred(), deferred()]
  const start = (ctx: Loose) => {
    ctx.handle('frail:ask', () => new Promise(() => undefined))
    contexts.push(ctx)
    started[contexts.length - 1]?.resolve()
  }
  const host = await startLab(t, [{ contract: contract('frail'), start }], { pace: { retryMs: 100 } })
  await host.reached('frail', 'running')
  const client = await host.client('viewer')
  const answer = client.ask('frail:ask')
  await client.ask('module:subscribe', { module: 'frail' })
  for (let i = 0; i < 6; i++) contexts[0]?.fail('unplugged')
  t.match(await host.reached('frail', 'failed'), { reason: 'unplugged' })
  t.match(await answer, { code: 'MODULE_FAILED' })
  await started[1]?.promise
  await host.reached('frail', 'running')
})

void t.test('a plugin can fail while it starts', async (t) => {
  const start = (ctx: Loose) => {
    setImmediate(() => ctx.fail('unplugged'))
    return new Promise(() => undefined)
  }
  const host = await startLab(t, [{ contract: contract('frail'), start }], { pace: { retryMs: 60_000 } })
  t.match(await host.reached('frail', 'failed'), { reason: 'unplugged' })
})

void t.test('what cannot be imported is failed with the reason, and tried again', async (t) => {
  const host = await startLab(t, [], { pace: {} })
  await host.writeConfig('plugins', { plugins: { broken: { enabled: false, runIn: 'host' } } })
  const dir = join(host.pluginDir, 'broken')
  await mkdir(dir)
  await writeFile(join(dir, 'contract.json'), JSON.stringify({ id: 'broken' }))
  await writeFile(join(dir, 'index.js'), 'export default {}')
  const manifest = { name: 'broken', version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
  await host.reached('broken', 'disabled')
  while (host.status().some(({ id, runIn }) => id === 'broken' && runIn !== 'host'))
    await new Promise((resolve) => setTimeout(resolve, 10))
  const client = await host.client('owner')
  t.match(await client.ask('host:enable', { id: 'broken' }), {
    state: 'failed',
    reason: /its default export is not made by definePlugin/,
  })
  const code = "import { definePlugin } from 'patchbay/plugin'\nexport default definePlugin({ id: 'broken' }, { start() {} })\n"
  await writeFile(join(dir, 'index.js'), code)
  await host.reached('broken', 'running')
})

void t.test('subscriptions stand through changes of the contract and of other packages', async (t) => {
  const needs = { devices: ['/nowhere/lab*'] }
  const waiting = contract('waiting', { needs })
  const host = await startLab(t, [{ contract: waiting, start: (ctx) => ctx.handle('waiting:ask', () => undefined) }])
  await host.reached('waiting', 'unavailable')
  const client = await host.client('viewer')
  await client.ask('module:subscribe', { module: 'waiting' })
  const rescan = async (id: string) => {
    await mkdir(join(host.pluginDir, id))
    const manifest = { name: id, version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
    await writeFile(join(host.pluginDir, id, 'package.json'), JSON.stringify(manifest))
    await host.reached(id, 'failed')
  }
  await rescan('another')
  t.equal(host.host.subscriberCount('waiting'), 1)
  const { needs: _, ...free } = waiting
  await writeFile(join(host.pluginDir, 'waiting', 'contract.json'), JSON.stringify(free))
  await host.reached('waiting', 'running')
  t.equal(host.host.subscriberCount('waiting'), 1)
})

void t.test('a schema that is none fails its plugin with a sentence, before any of its code has run', async (t) => {
  const start = () => t.fail('it ran')
  const events = { 'odd:value': { payload: { type: 'number', maximum: 'ten' } } }
  const settings = { type: 'object', properties: { a: { type: 'strin', default: 1 } } }
  const host = await startLab(t, [
    { contract: { id: 'odd', events } as unknown as Contract, start },
    { contract: { id: 'odder', settings } as unknown as Contract, start },
  ])
  for (const id of ['odd', 'odder']) {
    const { reason } = await host.reached(id, 'failed')
    t.match(reason, /schema/)
  }
  t.equal(host.host.status().filter(({ state }) => state === 'failed').length, 2)
})

void t.test('what asks for a process of its own is not run in the host’s', async (t) => {
  const own: Contract = { id: 'own', ownProcess: true }
  const host = await startLab(t, [{ contract: own, start: () => undefined }])
  const { state, reason } = await host.reached('own', 'disabled')
  t.match({ state, reason }, { state: 'disabled', reason: /^It runs in a process of its own only: .*runIn/ })
  await host.writeConfig('plugins', { plugins: { own: { enabled: true } } })
  t.match(await host.reached('own', 'running', 'failed'), { state: 'running', runIn: 'process' })
})
