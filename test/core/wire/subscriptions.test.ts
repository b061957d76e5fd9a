import t from 'tap'
import { command, type Heard, hear, join, type LooseContext, once, startLab, until } from './lab.ts'

/** Resolves when the host has taken in, and answered, everything that was sent before. */
const settle = async (...clients: Array<{ ask(command: string, payload?: unknown): Promise<unknown> }>) => {
  for (const client of clients) await client.ask('module:unsubscribe', { module: 'nothing' })
}
const events = { 'lab:value': { payload: {}, retained: true }, 'lab:tick': { payload: {} } } as const

void t.test('a subscriber gets the retained values, then what happens, until it leaves', async (t) => {
  let ctx = {} as LooseContext
  const host = await startLab(t, [{ contract: { id: 'lab', events }, start: (given) => (ctx = given) }])
  const client = await host.client('viewer')
  const heard = hear(client)
  ctx.publish('lab:value', 1)
  ctx.publish('lab:value', 2)
  ctx.publish('lab:tick', 'nobody hears this')
  t.strictSame(await client.ask('module:subscribe', { module: 'lab' }), { success: true, state: 'running' })
  t.strictSame(heard.splice(0), [['lab:value', 2]], 'the last value precedes the ack')
  t.strictSame(await client.ask('module:subscribe', { module: 'lab' }), { success: true, state: 'running' })
  t.strictSame(heard.splice(0), [], 'a second time changes nothing')
  ctx.publish('lab:tick', 3)
  ctx.publish('lab:tick')
  await settle(client)
  t.strictSame(heard.splice(0).slice(0, 2), [
    ['lab:tick', 3],
    ['lab:tick', undefined],
  ])
  t.strictSame(await client.ask('module:unsubscribe', { module: 'lab' }), { success: true })
  t.strictSame(await client.ask('module:unsubscribe', { module: 'lab' }), { success: true })
  ctx.publish('lab:value', 4)
  ctx.publish('lab:tick', 4)
  await settle(client)
  t.strictSame(
    heard.filter(([event]) => event !== 'error'),
    [],
    'who left hears no more',
  )
})

void t.test('work for subscribers begins with the first and ends with the last, who may just vanish', async (t) => {
  const life: string[] = []
  const host = await startLab(t, [
    {
      contract: { id: 'lab', events },
      start(ctx) {
        ctx.whileSubscribed((watch) => {
          life.push('begin')
          watch.publish('lab:value' as never, 'fresh' as never)
          return () => life.push('end')
        })
        ctx.onSubscribe(() => void life.push('joined'))
      },
    },
  ])
  const [one, two] = [await host.client('viewer'), await host.client('viewer')]
  const heard = hear(one)
  for (const client of [one, one, two]) await client.ask('module:subscribe', { module: 'lab' })
  t.strictSame(life, ['begin', 'joined', 'joined'])
  t.strictSame(heard, [['lab:value', 'fresh']], 'a value that the first one caused comes once')
  t.equal(host.host.subscriberCount('lab'), 2)
  await one.ask('module:unsubscribe', { module: 'lab' })
  t.equal(life.length, 3)
  two.socket.close()
  await until(() => life.at(-1) === 'end')
  t.strictSame(life, ['begin', 'joined', 'joined', 'end'])
  const heardLater = hear(one)
  life.length = 0
  await one.ask('module:subscribe', { module: 'lab' })
  t.strictSame([life, heardLater], [['begin', 'joined'], [['lab:value', 'fresh']]], 'and begins anew')
})

void t.test('values can be made when somebody subscribes, and faults in that are told', async (t) => {
  let made: () => unknown = () => 0
  const host = await startLab(t, [{ contract: { id: 'lab', events }, start: (ctx) => ctx.provide('lab:value', () => made()) }])
  const client = await host.client('viewer')
  const subscribe = async (value: typeof made) => {
    made = value
    await client.ask('module:unsubscribe', { module: 'lab' })
    await client.ask('module:subscribe', { module: 'lab' })
  }
  const value = client.next('lab:value')
  await subscribe(() => ({ at: 1 }))
  t.strictSame(await value, { at: 1 })
  for (const broken of [7n, { big: 7n }]) {
    const told = client.next('error')
    await subscribe(async () => broken)
    t.match(await told, { module: 'lab', code: 'INTERNAL' })
  }
  const told = client.next('error')
  await subscribe(() => {
    throw new Error('/a/secret/path')
  })
  t.match(await told, { module: 'lab', code: 'INTERNAL', message: /^(?!.*secret)/ })
  const heard = hear(client)
  await subscribe(() => undefined)
  let release = (_value: unknown) => {}
  const late = new Promise((resolve) => (release = resolve))
  await subscribe(() => late)
  await client.ask('module:unsubscribe', { module: 'lab' })
  release('too late')
  await late
  await settle(client)
  t.strictSame(
    heard.filter(([event]) => event !== 'error'),
    [],
    'nothing is no value, and who has left gets none',
  )
})

void t.test('what cannot be sent is the plugin’s own fault and is not kept', async (t) => {
  let ctx = {} as LooseContext
  const host = await startLab(t, [{ contract: { id: 'lab', events }, start: (given) => (ctx = given) }])
  ctx.publish('lab:value', 'good')
  t.throws(() => ctx.publish('lab:value', 7n))
  const client = await host.client('viewer')
  const heard = hear(client)
  t.match(await client.ask('module:subscribe', { module: 'lab' }), { success: true })
  t.throws(() => ctx.publish('lab:tick', { big: 7n }))
  await settle(client)
  t.strictSame(heard[0], ['lab:value', 'good'])
})

void t.test('modules that do not exist are MODULE_NOT_FOUND, malformed wishes INVALID_PAYLOAD', async (t) => {
  const host = await startLab(t, [])
  const client = await host.client('owner')
  for (const command of ['module:subscribe', 'module:unsubscribe']) {
    for (const module of ['nothing', '', '__proto__', 'constructor', 'toString', 'HOST', 'host ', '\u0000', 'x'.repeat(10_000)])
      t.match(await client.ask(command, { module }), {
        success: false,
        code: 'MODULE_NOT_FOUND',
        error: /^There is no module .{2,100} here\.$/,
      })
    for (const payload of [
      undefined,
      null,
      'host',
      7,
      [],
      ['host'],
      {},
      { module: null },
      { module: ['host'] },
      { module: { id: 'host' } },
      { module: 'host', more: 1 },
    ])
      t.match(await client.ask(command, payload), { success: false, code: 'INVALID_PAYLOAD' })
  }
  client.socket.io.engine.write('20["module:subscribe",{"module":"host","module":"nothing","__proto__":{"module":"host"}}]')
  t.match(
    await client.next('error'),
    { code: 'INVALID_PAYLOAD' },
    'of a key that comes twice the last counts, and __proto__ is a key like any other',
  )
})

void t.test('a subscription stands through every state of its module', async (t) => {
  let ctx = {} as LooseContext
  const start = (given: LooseContext) => {
    ctx = given
    given.publish('lab:value', 'snapshot')
  }
  const host = await startLab(t, [{ contract: { id: 'lab', events }, start }])
  const [client, owner] = [await host.client('viewer'), await host.client('owner')]
  await owner.ask('host:disable', { id: 'lab' })
  await host.reached('lab', 'disabled')
  t.match(await client.ask('module:subscribe', { module: 'lab' }), { success: true, state: 'disabled', reason: /plugins\.json/ })
  const value = client.next('lab:value')
  await owner.ask('host:enable', { id: 'lab' })
  t.equal(await value, 'snapshot')
  const again = client.next('lab:value')
  ctx.fail('broken')
  await host.reached('lab', 'failed')
  const late = await host.client('viewer')
  const heard = hear(late)
  t.match(await late.ask('module:subscribe', { module: 'lab' }), { success: true, state: 'failed', reason: 'broken' })
  t.strictSame(heard, [], 'no stale value')
  t.equal(await again, 'snapshot')
})

void t.test('a module that is removed tells its subscribers, and one that comes back is another', async (t) => {
  const host = await startLab(t, [{ contract: { id: 'lab', events }, start: () => {} }])
  const client = await host.client('viewer')
  await client.ask('module:subscribe', { module: 'lab' })
  const { rm } = await import('node:fs/promises')
  const told = client.next('error')
  await rm(`${host.pluginDir}/lab`, { recursive: true })
  t.match(await told, { module: 'lab', code: 'MODULE_NOT_FOUND' })
  t.match(await client.ask('module:subscribe', { module: 'lab' }), { code: 'MODULE_NOT_FOUND' })
  t.match(await client.ask('module:subscribe', { module: 'host' }), { success: true }, 'neighbours do not notice')
})

void t.test('failures that belong to no command go to the subscribers', async (t) => {
  let ctx = {} as LooseContext
  const contract = {
    id: 'lab',
    events,
    errors: { LAB_DUST: 'There is dust.' },
    namespaces: { below: { events: { 'lab:deep': {} } } },
  }
  const host = await startLab(t, [{ contract, start: (given) => (ctx = given) }])
  const [client, other] = [await host.client('viewer'), await host.client('viewer')]
  const below = await join(t, host, { initData: host.initData(1000) }, {}, '/below')
  const heard = hear(other)
  ctx.publishError('LAB_DUST')
  for (const subscriber of [client, below])
    t.match(await subscriber.ask('module:subscribe', { module: 'lab' }), { success: true })
  const told = [client, below].map((subscriber) => subscriber.next('error'))
  ctx.publishError('LAB_DUST', 'A lot of dust.', { grains: 7 })
  for (const error of await Promise.all(told))
    t.strictSame(error, { module: 'lab', code: 'LAB_DUST', message: 'A lot of dust.', details: { grains: 7 } })
  const own = other.next('error')
  const deaf = hear(client)
  ctx.publishError('LAB_DUST', 'Yours.', undefined, { client: other.socket.id as string })
  t.strictSame(await own, { module: 'lab', code: 'LAB_DUST', message: 'Yours.' }, 'or to whom it concerns, subscribed or not')
  await settle(other)
  await settle(client)
  t.strictSame(
    [heard, deaf].map((errors) => errors.map(([, { code }]) => code)),
    [['LAB_DUST', 'MODULE_NOT_FOUND'], ['MODULE_NOT_FOUND']],
  )
})

void t.test('events reach subscribers, the connected or those addressed', async (t) => {
  let ctx = {} as LooseContext
  const contract = {
    id: 'lab',
    events: {
      'lab:subscribed': { payload: {} },
      'lab:connected': { payload: {}, to: 'connected' },
      'lab:addressed': { payload: {}, to: 'addressed' },
    },
  } as const
  const host = await startLab(t, [{ contract, start: (given) => (ctx = given) }], { roles: { deaf: ['host:*'] } })
  const subscriber = await host.client('viewer', 5)
  const connected = await host.client('viewer', 6)
  const second = await join(t, host, { sessionToken: connected.sessionToken })
  const denied = await host.client('deaf', 7)
  await subscriber.ask('module:subscribe', { module: 'lab' })
  const all = [subscriber, connected, second, denied]
  const heard = all.map(hear)
  ctx.publish('lab:subscribed', 1)
  ctx.publish('lab:connected', 2)
  ctx.send({ client: connected.socket.id as string }, 'lab:addressed', 3)
  ctx.send({ user: 'telegram:6' }, 'lab:addressed', 4)
  ctx.send({ user: 'telegram:7' }, 'lab:addressed', 5)
  ctx.send({ user: 'telegram:8' }, 'lab:addressed', 6)
  ctx.send({ room: 'nobody' }, 'lab:addressed', 7)
  await settle(...all)
  const values = heard.map((events) => events.filter(([event]) => event !== 'error').map(([, value]) => value))
  t.strictSame(values, [[1, 2], [2, 3, 4], [2, 4], []], 'and nobody who may not hear the module')
  t.throws(() => ctx.publish('lab:addressed', 8), /addressed/)
})

void t.test('a plugin speaks on namespaces of its own, each with its values', async (t) => {
  let ctx = {} as LooseContext
  const contract = {
    id: 'lab',
    commands: { 'lab:where': command() },
    events,
    namespaces: {
      media: { commands: { 'lab:where-below': command() }, events: { 'lab:deep': { payload: {}, retained: true } } },
    },
  } as const
  const start = (given: LooseContext) => {
    ctx = given
    given.handle('lab:where', (_payload, { caller }) => ({ where: caller.namespace }))
    given.namespace('media').handle('lab:where-below', (_payload, { caller }) => ({ where: caller.namespace }))
    given.publish('lab:value', 'above')
    given.namespace('media').publish('lab:deep', 'below')
  }
  const host = await startLab(t, [{ contract, start }])
  const above = await host.client('viewer', 5)
  const below = await join(t, host, { sessionToken: above.sessionToken }, {}, '/media')
  t.strictSame(await above.ask('lab:where'), { success: true, where: '/' })
  t.strictSame(await below.ask('lab:where-below'), { success: true, where: '/media' })
  t.match(await above.ask('lab:where-below'), { code: 'UNKNOWN_COMMAND' })
  t.match(await below.ask('lab:where'), { code: 'UNKNOWN_COMMAND' })
  t.match(await below.ask('host:sessions'), { code: 'UNKNOWN_COMMAND' })
  const heard = [hear(above), hear(below)]
  for (const client of [above, below]) await client.ask('module:subscribe', { module: 'lab' })
  ctx.publish('lab:tick', 1)
  ctx.namespace('media').publish('lab:deep', 2)
  await settle(above, below)
  t.strictSame(
    heard.map((events) => events.filter(([event]) => event !== 'error')),
    [
      [
        ['lab:value', 'above'],
        ['lab:tick', 1],
      ],
      [
        ['lab:deep', 'below'],
        ['lab:deep', 2],
      ],
    ],
  )
})

void t.test('names and namespaces that are taken are refused with a sentence', async (t) => {
  const contract = (id: string, more: object = {}) => ({
    contract: { id, events: { [`${id}:event`]: {} }, ...more },
    start: () => {},
  })
  const host = await startLab(t, [contract('one', { namespaces: { shared: { events: { 'one:deep': {} } } } })])
  const { cp, writeFile } = await import('node:fs/promises')
  const drop = async (id: string, more: object) => {
    await cp(`${host.pluginDir}/one`, `${host.pluginDir}/.${id}`, { recursive: true })
    await writeFile(`${host.pluginDir}/.${id}/contract.json`, JSON.stringify({ id, ...more }))
    await writeFile(
      `${host.pluginDir}/.${id}/package.json`,
      JSON.stringify({
        name: id,
        version: '1.0.0',
        type: 'module',
        exports: './index.js',
        patchbay: { api: 1, contract: './contract.json' },
      }),
    )
    await cp(`${host.pluginDir}/.${id}`, `${host.pluginDir}/${id}`, { recursive: true })
    return await host.reached(id, 'failed')
  }
  t.match(await drop('stranger', { policy: 'nobody-knows' }), { reason: /auth policy "nobody-knows" is not known/ })
})

void t.test('ten thousand subscribes in a loop cost their sender, and nobody else', async (t) => {
  const host = await startLab(t, [
    { contract: { id: 'lab', events }, start: (ctx) => ctx.publish('lab:value', 'x'.repeat(1000)) },
  ])
  const [flooder, other] = [await host.client('viewer'), await host.client('viewer')]
  const codes = new Map<string, number>()
  const answered = new Promise<void>((resolve) => {
    let answers = 0
    for (let i = 0; i < 10_000; i++)
      flooder.socket.emit('module:subscribe', { module: 'lab' }, ({ success, code, retryAfter }: Heard) => {
        const outcome = success ? 'ok' : `${code} ${retryAfter > 0}`
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1)
        if (++answers === 10_000) resolve()
      })
  })
  t.match(await other.ask('module:subscribe', { module: 'lab' }), { success: true })
  await Promise.race([answered, once(flooder.socket, 'disconnect')])
  t.strictSame(
    [...codes].sort(),
    [
      ['RATE_LIMITED true', 9760],
      ['ok', 240],
    ],
    'who reads its answers gets them all',
  )
  t.equal(host.host.subscriberCount('lab'), 2)
  const second = await join(t, host, { sessionToken: flooder.sessionToken })
  t.match(
    await second.ask('module:subscribe', { module: 'lab' }),
    { code: 'RATE_LIMITED' },
    'another socket does not lift the limit',
  )
})

void t.test('who may not hear a module any more has left it, subscribed or not', async (t) => {
  const left: string[] = []
  const contract = { id: 'lab', events, subscribeRole: 'operator' } as const
  const host = await startLab(t, [{ contract, start: (ctx) => ctx.onDisconnect((clientId) => void left.push(clientId)) }])
  const [one, two, other] = [await host.client('operator', 1), await host.client('operator', 2), await host.client('operator', 3)]
  await one.ask('module:subscribe', { module: 'lab' })
  const told = one.next('error')
  await host.allow(1, 'viewer')
  t.match(await told, { module: 'lab', code: 'FORBIDDEN' })
  await until(() => left.length > 0)
  t.strictSame(left, [one.socket.id])
  await host.allow(2, 'viewer')
  await until(() => left.includes(two.socket.id as string))
  t.notOk(left.includes(other.socket.id as string), 'who may, stays')
  t.ok(one.socket.connected && two.socket.connected)
})
