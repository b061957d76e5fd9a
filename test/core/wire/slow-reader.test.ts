import t, { type Test } from 'tap'
import { type Heard, type LooseContext, memory, RawSocket, startLab, until } from './lab.ts'

const contract = {
  id: 'lab',
  events: {
    'lab:value': { payload: {}, retained: true },
    'lab:other': { payload: {}, retained: true },
    'lab:tick': { payload: {} },
  },
} as const
const turn = () => new Promise((resolve) => setImmediate(resolve))
const filler = 'x'.repeat(100_000)

/** A host, a neighbour who reads, and somebody who has subscribed and reads no more. */
async function withSlowReader(t: Test, options: object = {}) {
  let ctx = {} as LooseContext
  const host = await startLab(t, [{ contract, start: (given) => (ctx = given) }], options)
  await host.allow(5, 'viewer')
  const slow = await RawSocket.login(t, host, 5)
  slow.send('420["module:subscribe",{"module":"lab"}]')
  await slow.hears(/^430\[\{/)
  const neighbour = await host.client('viewer')
  await neighbour.ask('module:subscribe', { module: 'lab' })
  slow.tcp.pause()
  return { ctx, host, slow, neighbour }
}

void t.test('for a client that does not read, the latest of retained values wins and memory stays bounded', async (t) => {
  const { ctx, host, slow, neighbour } = await withSlowReader(t)
  let [latest, slowest] = [-1, 0]
  neighbour.socket.on('lab:value', ({ n }: Heard) => (latest = n))
  for (let n = 0; n < 100; n++) ctx.publish('lab:value', { n, filler })
  await until(() => latest === 99)
  const before = await memory()
  for (let n = 100; n < 500; n++) {
    const begun = performance.now()
    ctx.publish('lab:value', { n, filler: filler + n })
    await until(() => latest === n)
    slowest = Math.max(slowest, performance.now() - begun)
  }
  const grown = (await memory()) - before
  t.ok(grown < 50 * filler.length, `400 values of ${filler.length} bytes cost ${grown}`)
  t.ok(slowest < 500, `the neighbour waited ${slowest} ms at most`)
  ctx.publish('lab:other', 'another event')
  t.equal(host.host.subscriberCount('lab'), 2, 'it is still there')

  slow.heard.length = 0
  slow.tcp.setMaxListeners(0).resume()
  let bytes = ''
  slow.tcp.on('data', (chunk) => (bytes = (bytes + chunk.toString('latin1')).slice(-300_000)))
  await until(() => bytes.includes('another event'))
  t.match(bytes, /"n":499,/, 'when it reads again it gets the last value')
  const seen = [...bytes.matchAll(/"n":(\d+),/g)].map(([, n]) => Number(n))
  t.strictSame(
    seen,
    [...seen].sort((a, b) => a - b),
    'in order',
  )
})

void t.test('of other events so many may wait, then the client is cut off, and at once', async (t) => {
  const { ctx, host, slow, neighbour } = await withSlowReader(t, { host: { limits: { backlogMessages: 100 } } })
  let heard = 0
  neighbour.socket.on('lab:tick', () => heard++)
  let sent = 0
  while (host.host.subscriberCount('lab') === 2 && sent < 2000) {
    ctx.publish('lab:tick', filler.slice(0, 30_000))
    sent++
    await turn()
  }
  t.ok(sent > 100 && sent < 2000, `after ${sent}`)
  await until(() => heard === sent, 'the neighbour hears them all')
  slow.tcp.resume()
  await slow.closed
  t.pass('the connection is gone')
})

void t.test('few but large events count by their bytes', async (t) => {
  const { ctx, host } = await withSlowReader(t, { host: { limits: { backlogMessages: 100_000 } } })
  let sent = 0
  while (host.host.subscriberCount('lab') === 2 && sent < 500) {
    ctx.publish('lab:tick', filler)
    sent++
    await turn()
  }
  t.ok(sent > 40 && sent < 200, `after ${sent}`)
})

void t.test('a burst in one turn of the event loop is no backlog', async (t) => {
  let ctx = {} as LooseContext
  const host = await startLab(t, [{ contract, start: (given) => (ctx = given) }], { host: { limits: { backlogMessages: 20 } } })
  const client = await host.client('viewer')
  await client.ask('module:subscribe', { module: 'lab' })
  let heard = 0
  client.socket.on('lab:tick', () => heard++)
  for (let i = 0; i < 1000; i++) ctx.publish('lab:tick', i)
  await until(() => heard === 1000)
  t.ok(client.socket.connected)
})

void t.test('a client that asks and does not read the answers is cut off', async (t) => {
  const { host, slow } = await withSlowReader(t)
  const flood = `420["module:unsubscribe",{"module":"${'x'.repeat(60_000)}"}]`
  let isOpen = true
  void slow.closed.then(() => (isOpen = false))
  for (let i = 0; i < 200_000 && isOpen && host.host.subscriberCount('lab') === 2; i++) {
    slow.send(i % 1000 === 0 ? flood : '420["nonsense"]')
    if (i % 100 === 0) await turn()
  }
  t.equal(host.host.subscriberCount('lab'), 1)
})

void t.test('what waits for a client is dropped when the value is forgotten', async (t) => {
  let ctx = {} as LooseContext
  const host = await startLab(t, [{ contract, start: (given) => (ctx = given) }])
  const client = await host.client('viewer')
  await client.ask('module:subscribe', { module: 'lab' })
  const values: Heard[] = []
  client.socket.on('lab:value', (value) => values.push(value))
  for (let n = 0; n < 50; n++) ctx.publish('lab:value', n)
  await until(() => values.at(-1) === 49)
  t.ok(values.length < 50, 'of a burst of values the last ones suffice')
  values.length = 0
  for (let n = 0; n < 50; n++) ctx.publish('lab:value', n)
  ctx.fail('broken')
  await host.reached('lab', 'failed')
  await client.ask('host:sessions')
  t.ok(values.length > 0 && !values.includes(49), 'a value of a module that has failed is not sent any more')
})

void t.test('what waits for a client is dropped when it leaves the module', async (t) => {
  const { ctx, slow } = await withSlowReader(t)
  for (let n = 0; n < 500; n++) {
    ctx.publish('lab:value', { n, filler: filler + n })
    if (n % 10 === 0) await turn()
  }
  ctx.publish('lab:other', 'the last thing')
  slow.send('421["module:unsubscribe",{"module":"lab"}]')
  let bytes = ''
  slow.tcp.on('data', (chunk) => (bytes = (bytes + chunk.toString('latin1')).slice(-300_000))).resume()
  await until(() => bytes.includes('431[{"success":true}]'))
  t.notMatch(bytes, /the last thing|"n":499/)
})
