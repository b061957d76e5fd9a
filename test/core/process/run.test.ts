import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { deferred, type Loose, startLab } from '../lifecycle/lab.ts'

const integer = { type: 'integer' }
const contract: Contract = {
  id: 'lab',
  commands: { 'lab:do': { role: 'viewer' } },
  events: {
    'lab:kept': { payload: integer, retained: true },
    'lab:other': { payload: integer, retained: true },
    'lab:tick': { payload: integer },
    'lab:note': { payload: integer, to: 'addressed' },
  },
  namespaces: { side: { events: { 'lab:aside': { payload: integer } } } },
  errors: { LAB_LOST: 'It is lost.' },
}

/** A lab that runs, its context, and a client of it. */
async function lab(t: Parameters<typeof startLab>[0], start: (ctx: Loose) => unknown) {
  const given = deferred<Loose>()
  const host = await startLab(t, [
    {
      contract,
      async start(ctx) {
        ctx.handle('lab:do', () => undefined)
        await start(ctx)
        given.resolve(ctx)
      },
    },
  ])
  const ctx = await given.promise
  await host.reached('lab', 'running')
  return { host, ctx, client: await host.client('viewer') }
}

void t.test('a plugin learns which clients have left, subscribed or not, while it runs', async (t) => {
  const left: string[] = []
  const told = deferred()
  const { host, client } = await lab(t, (ctx) => {
    ctx.onDisconnect(() => {
      throw new Error('of no consequence to others')
    })
    ctx.onDisconnect((clientId) => void (left.push(clientId) === 2 && told.resolve()))
  })
  const other = await host.client('viewer')
  await other.ask('module:subscribe', { module: 'lab' })
  const ids = [client.socket.id, other.socket.id]
  client.socket.close()
  other.socket.close()
  await told.promise
  t.same(left.sort(), ids.sort())
})

void t.test('a plugin hears of users from whom something comes in, until it has heard enough', async (t) => {
  const heard: string[] = []
  let wake = () => {}
  const { host, ctx, client } = await lab(t, () => undefined)
  const next = () => new Promise<void>((resolve) => (wake = resolve))
  ctx.onHeard(() => {
    throw new Error('of no consequence to others')
  })
  const release = ctx.onHeard((userId) => {
    heard.push(userId)
    wake()
  })
  let told = next()
  client.socket.emit('nonsense')
  await told
  told = next()
  client.socket.io.engine.transport.send([{ type: 'pong' }])
  await told
  t.same(new Set(heard).size, 1)
  told = next()
  await host.client('viewer', 4711)
  await told
  t.equal(heard.at(-1), 'telegram:4711')
  release()
  const count = heard.length
  await client.ask('module:subscribe', { module: 'lab' })
  t.equal(heard.length, count)
})

void t.test('what work for subscribers publishes is forgotten when it ends, what the plugin publishes is not', async (t) => {
  let runs = 0
  const ended = deferred()
  const { host, ctx, client } = await lab(t, (ctx) => {
    ctx.publish('lab:kept', 1)
    ctx.whileSubscribed((watch) => {
      ;(watch as unknown as Loose).publish('lab:other', ++runs)
      return () => ended.resolve()
    })
  })
  const heard: unknown[] = []
  client.socket.onAny((event, value) => heard.push([event, value]))
  const first = client.next('lab:other')
  await client.ask('module:subscribe', { module: 'lab' })
  t.equal(await first, 1)
  await client.ask('module:unsubscribe', { module: 'lab' })
  await ended.promise
  t.same(
    heard,
    [
      ['lab:kept', 1],
      ['lab:other', 1],
    ],
    'each once',
  )

  const again = client.next('lab:other')
  await client.ask('module:subscribe', { module: 'lab' })
  t.equal(await again, 2)
  t.same(heard.slice(2), [
    ['lab:kept', 1],
    ['lab:other', 2],
  ])
  ctx.forget('lab:kept')
  const other = await host.client('viewer')
  other.socket.on('lab:kept', () => t.fail('it was forgotten'))
  const snapshot = other.next('lab:other')
  await other.ask('module:subscribe', { module: 'lab' })
  t.equal(await snapshot, 2)
})

void t.test('work can forget what it told', async (t) => {
  const { host, client } = await lab(t, (ctx) =>
    ctx.whileSubscribed((watch) => {
      const loose = watch as unknown as Loose
      loose.publish('lab:kept', 1)
      loose.forget('lab:kept')
      loose.publish('lab:other', 2)
    }),
  )
  await client.ask('module:subscribe', { module: 'lab' })
  const other = await host.client('viewer')
  other.socket.on('lab:kept', () => t.fail('it was forgotten'))
  const snapshot = other.next('lab:other')
  await other.ask('module:subscribe', { module: 'lab' })
  t.equal(await snapshot, 2)
})

void t.test('a provided value is made for whoever subscribes; the listener hears of every subscription', async (t) => {
  let made = 0
  const heard: string[] = []
  const { host, client } = await lab(t, (ctx) => {
    ctx.provide('lab:kept', async () => ++made)
    ctx.whileSubscribed(() => void heard.push('work'))
    ctx.onSubscribe(() => void heard.push('listener'))
  })
  for (const [index, each] of [client, await host.client('viewer')].entries()) {
    const value = each.next('lab:kept')
    await each.ask('module:subscribe', { module: 'lab' })
    t.equal(await value, index + 1)
  }
  t.same(heard, ['work', 'listener', 'listener'])
})

void t.test('failures that belong to no command reach the subscribers with a declared code, or as INTERNAL', async (t) => {
  let fail: () => Error = () => new Error('secret')
  const { host, ctx, client } = await lab(t, (ctx) => {
    ctx.whileSubscribed(() => {
      throw fail()
    })
  })
  const first = client.next('error')
  await client.ask('module:subscribe', { module: 'lab' })
  t.same(await first, { module: 'lab', code: 'INTERNAL', message: 'Something went wrong inside this module.' })
  t.match(host.log.join(''), /secret/)

  fail = () => ctx.error('LAB_LOST')
  const second = client.next('error')
  const other = await host.client('viewer')
  await other.ask('module:subscribe', { module: 'lab' })
  t.same(await second, { module: 'lab', code: 'LAB_LOST', message: 'It is lost.' })

  const third = client.next('error')
  ctx.publishError('LAB_LOST', 'Under the sofa.', { where: 'sofa' })
  t.same(await third, { module: 'lab', code: 'LAB_LOST', message: 'Under the sofa.', details: { where: 'sofa' } })
})

void t.test('a listener or a provider that throws is reported and harms nobody', async (t) => {
  const { client } = await lab(t, (ctx) => {
    ctx.provide('lab:kept', () => {
      return Promise.reject(null as unknown)
    })
    ctx.onSubscribe(() => Promise.reject(ctx.error('LAB_LOST')))
    ctx.publish('lab:other', 5)
  })
  const errors = ['INTERNAL', 'LAB_LOST'].map((code) => client.next<{ code: string }>('error', (error) => error.code === code))
  const snapshot = client.next('lab:other')
  await client.ask('module:subscribe', { module: 'lab' })
  t.equal(await snapshot, 5)
  await Promise.all(errors)
})

void t.test('an addressed event goes to a client or to a user, and only to them', async (t) => {
  const { host, ctx, client } = await lab(t, () => undefined)
  const other = await host.client('viewer')
  other.socket.on('lab:note', (value: number) => t.equal(value, 2))
  const [one, two] = [client.next('lab:note'), other.next('lab:note')]
  ctx.send({ client: client.socket.id }, 'lab:note', 1)
  ctx.send({ user: 'telegram:1001' }, 'lab:note', 2)
  t.same([await one, await two], [1, 2])
})

void t.test('what the contract does not say is refused where the plugin says it', async (t) => {
  const { ctx } = await lab(t, () => undefined)
  t.throws(() => ctx.publish('lab:nothing', 1), { message: 'The contract of lab has no event "lab:nothing".' })
  t.throws(() => ctx.provide('lab:nothing', () => 1), { message: 'The contract of lab has no event "lab:nothing".' })
  t.throws(() => ctx.publish('lab:tick', 'often'), { message: /^"lab:tick" does not fit its contract: .*integer/ })
  t.throws(() => ctx.publish('lab:note', 1), { message: '"lab:note" is an addressed event.' })
  t.throws(() => ctx.send({ room: 'x' }, 'lab:tick', 1), { message: '"lab:tick" is not an addressed event.' })
  t.throws(() => ctx.namespace('none'), { message: 'The contract of lab has no namespace "none".' })
  t.throws(() => ctx.error('LAB_FOUND'), { message: 'The contract of lab has no error code "LAB_FOUND".' })
  t.throws(() => ctx.error('constructor'), { message: /no error code/ })
  t.match(ctx.error('LAB_LOST', undefined, { retryAfter: 3 }), { code: 'LAB_LOST', message: 'It is lost.', retryAfter: 3 })
  t.match(ctx.error('FORBIDDEN'), { code: 'FORBIDDEN', message: 'You may not do this.' })
  t.doesNotThrow(() => ctx.namespace('side').publish('lab:aside', 1))
})

void t.test('a check of a driver that throws, or does not end, is a finding like others', async (t) => {
  const finding = (name: string) => ({ kind: 'lamp', name, ok: true, optional: false, sentence: `The ${name} is there.` })
  const start = (ctx: Loose) => {
    ctx.diagnose(() => [finding('bulb')])
    ctx.diagnose(() => Promise.reject(new Error('no bus')))
    ctx.diagnose(() => new Promise<never>(() => {}))
    ctx.diagnose(async () => [finding('switch')])
  }
  const host = await startLab(t, [{ contract: { id: 'lab' }, start }], { pace: { diagnoseMs: 50 } })
  await host.reached('lab', 'running')
  const { plugins } = await (await host.client('owner')).ask('host:doctor')
  const { findings } = (plugins as Array<{ id: string; findings: Array<{ sentence: string }> }>).find(
    ({ id }) => id === 'lab',
  ) ?? {
    findings: [],
  }
  t.strictSame(
    findings.map(({ sentence }) => sentence),
    [
      'The bulb is there.',
      'A check of its own failed: no bus',
      'A check of its own failed: it did not say within 0.05 s what it finds',
      'The switch is there.',
      "Not contained: It runs in the daemon's own process and may do all that the daemon may.",
    ],
  )
})
