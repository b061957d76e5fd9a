import t from 'tap'
import { RateLimits } from '../../../core/wire/rate.ts'
import { command, type Heard, hear, join, memory, once, RawSocket, startLab, until } from './lab.ts'

void t.test('a rate lets through so many in any window', async (t) => {
  const rates = new RateLimits()
  const limited = { rate: { max: 3, windowMs: 1000 } }
  const take = (now: number, user = 'a'): number | undefined => {
    try {
      rates.take(user, limited, now)
      return 0
    } catch (error) {
      return (error as { retryAfter?: number }).retryAfter
    }
  }
  t.strictSame(
    [0, 100, 200, 300, 999].map((now) => take(now)),
    [0, 0, 0, 1, 1],
  )
  t.strictSame(
    [1000, 1001, 1099, 1100, 1200].map((now) => take(now)),
    [0, 1, 1, 0, 0],
    'the window slides, and refusals do not count',
  )
  t.equal(take(1200, 'b'), 0, 'each user for himself')
  const slow = { rate: { max: 1, windowMs: 60_000 } }
  rates.take('a', slow, 0)
  t.throws(
    () => rates.take('a', slow, 10_500),
    Object.assign(new Error('At most 1 times in 60 s.'), { code: 'RATE_LIMITED', retryAfter: 50 }),
  )
})

void t.test('a rate forgets users whose window is over, and only those', async (t) => {
  const rates = new RateLimits()
  const limited = { rate: { max: 1, windowMs: 1000 } }
  for (let i = 0; i < 600; i++) rates.take(`old ${i}`, limited, 0)
  for (let i = 0; i < 400; i++) rates.take(`busy ${i}`, limited, 900)
  rates.take('newcomer', limited, 1500)
  t.throws(() => rates.take('busy 7', limited, 1500))
  const before = await memory()
  for (let i = 0; i < 100_000; i++) rates.take(`new ${i}`, limited, 2000 + i * 10)
  const grown = (await memory()) - before
  t.ok(grown < 3_000_000, 'whoever comes and goes leaves nothing behind')
})

void t.test('limits hold over two sockets and a reconnect, and not for others', async (t) => {
  let pending: Array<(value: object) => void> = []
  const host = await startLab(
    t,
    [
      {
        contract: {
          id: 'lab',
          commands: {
            'lab:rare': command({ rate: { max: 3, windowMs: 60_000 } }),
            'lab:slow': command({ inFlight: 2 }),
            'lab:other': command(),
          },
        },
        start(ctx) {
          ctx.handle('lab:rare', () => undefined)
          for (const name of ['lab:slow', 'lab:other'])
            ctx.handle(name, () => new Promise((resolve) => pending.push(resolve as never)))
        },
      },
    ],
    { host: { limits: { inFlightPerUser: 4 } } },
  )
  const one = await host.client('viewer', 5)
  const two = await join(t, host, { sessionToken: one.sessionToken })
  const stranger = await host.client('viewer', 6)
  t.match(
    [await one.ask('lab:rare'), await two.ask('lab:rare'), await one.ask('lab:rare')],
    [{ success: true }, { success: true }, { success: true }],
  )
  for (const client of [one, two]) {
    const [ack, event] = await Promise.all([client.ask('lab:rare'), client.next<Heard>('error')])
    t.match(ack, { code: 'RATE_LIMITED', error: 'At most 3 times in 60 s.' })
    t.ok(Number(ack.retryAfter) > 50 && Number(ack.retryAfter) <= 60)
    t.equal(event.retryAfter, ack.retryAfter)
  }
  two.socket.close()
  const three = await join(t, host, { initData: host.initData(5) })
  t.match(await three.ask('lab:rare'), { code: 'RATE_LIMITED' }, 'a new login does not lift it')
  t.match(await stranger.ask('lab:rare'), { success: true })

  const slow = [one.ask('lab:slow'), three.ask('lab:slow')]
  await until(() => pending.length === 2)
  t.match(await one.ask('lab:slow'), { code: 'RATE_LIMITED', error: 'Too many unanswered commands.', retryAfter: 1 })
  const other = [one.ask('lab:other'), three.ask('lab:other')]
  await until(() => pending.length === 4)
  t.match(await three.ask('lab:other'), { code: 'RATE_LIMITED' }, 'all of a user’s commands together are limited too')
  t.match(await three.ask('lab:rare'), { code: 'RATE_LIMITED' })
  const strangers = stranger.ask('lab:slow')
  await until(() => pending.length === 5)
  for (const resolve of pending) resolve({})
  for (const answer of await Promise.all([...slow, ...other, strangers])) t.match(answer, { success: true })
  pending = []
  const again = one.ask('lab:slow')
  await until(() => pending.length === 1)
  pending[0]?.({})
  t.match(await again, { success: true }, 'what is answered makes room')
})

void t.test('nonsense has a rate, too', async (t) => {
  const host = await startLab(t, [])
  const client = await host.client('owner')
  const codes = await Promise.all(Array.from({ length: 80 }, (_, i) => client.ask(`nonsense ${i}`).then(({ code }) => code)))
  t.equal(codes.filter((code) => code === 'UNKNOWN_COMMAND').length, 60)
  t.equal(codes.filter((code) => code === 'RATE_LIMITED').length, 20)
})

const text = { type: 'string', maxLength: 5 }
const echo = {
  contract: {
    id: 'lab',
    commands: {
      'lab:echo': command({ payload: { type: 'object', properties: { text }, required: ['text'], additionalProperties: false } }),
      'lab:any': command({ payload: {} }),
      'lab:none': command(),
      'lab:once': command({ payload: text, rate: { max: 1, windowMs: 60_000 } }),
      'lab:maybe': command({ payload: { type: ['null', 'string'] } }),
      'lab:enum': command({ payload: { enum: ['a', 'b'] } }),
    },
  },
  start(ctx: { handle(name: string, handler: (payload: Heard) => unknown): void }) {
    for (const name of ['lab:echo', 'lab:any', 'lab:none', 'lab:once', 'lab:maybe', 'lab:enum'])
      ctx.handle(name, (payload) => ({ got: payload === undefined ? 'nothing' : payload }))
  },
}

void t.test('a payload that does not fit is INVALID_PAYLOAD, with the place', async (t) => {
  const host = await startLab(t, [echo])
  const client = await host.client('viewer')
  const says = async (name: string, payload: unknown) => (await client.ask(name, payload)).error
  t.equal(await says('lab:echo', { text: 'too long' }), 'lab:echo: text must NOT have more than 5 characters.')
  t.equal(await says('lab:echo', {}), "lab:echo: the payload must have required property 'text'.")
  t.equal(await says('lab:echo', { text: 'a', more: 1 }), 'lab:echo: the payload must NOT have additional properties: "more".')
  t.equal(await says('lab:enum', 'c'), 'lab:enum: the payload must be equal to one of the allowed values: ["a","b"].')
  t.equal(await says('lab:echo', undefined), 'lab:echo: the payload must be object.')
  t.equal(await says('lab:none', { a: 1 }), 'lab:none: it takes no payload.')
  for (const nothing of [undefined, null, {}, []]) t.match(await client.ask('lab:none', nothing), { success: true })
  for (const something of [0, '', false, [1]]) t.match(await client.ask('lab:none', something), { code: 'INVALID_PAYLOAD' })
  t.match(await client.ask('lab:maybe'), { success: true, got: 'nothing' }, 'what is left out is null to a schema')
  t.match(await client.ask('lab:maybe', null), { success: true, got: null })
  t.match(await client.ask('lab:once', 7), { code: 'INVALID_PAYLOAD' })
  t.match(await client.ask('lab:once', 'a'), { code: 'RATE_LIMITED' }, 'a wrong payload counts too')
})

void t.test('binary, deep, wide and several payloads are refused before any schema', async (t) => {
  const host = await startLab(t, [echo])
  const client = await host.client('viewer')
  const deep = (levels: number): unknown => (levels === 1 ? {} : { a: deep(levels - 1) })
  const list = (levels: number): unknown => (levels === 1 ? [] : [list(levels - 1)])
  t.match(await client.ask('lab:any', deep(16)), { success: true })
  t.match(await client.ask('lab:any', list(16)), { success: true })
  for (const payload of [deep(17), list(17), deep(2000), list(2000)])
    t.match(await client.ask('lab:any', payload), { code: 'INVALID_PAYLOAD', error: /at most 16 levels/ })
  t.match(await client.ask('lab:any', Array(4095).fill(0)), { success: true })
  t.match(await client.ask('lab:any', Array(4096).fill(0)), { code: 'INVALID_PAYLOAD', error: /at most 4096 values/ })
  for (const binary of [Buffer.from('x'), new Uint8Array(3).buffer, { deep: [Buffer.from('x')] }])
    t.match(await client.ask('lab:any', binary), { code: 'INVALID_PAYLOAD', error: /not binary/ })
  t.match(await client.socket.emitWithAck('lab:any', 1, 2), { code: 'INVALID_PAYLOAD', error: 'A command takes one payload.' })
  t.match(await client.ask('lab:any', 'a'), { success: true, got: 'a' }, 'the connection stands')
})

void t.test('a key that comes twice counts once, and __proto__ is a key like any other', async (t) => {
  const host = await startLab(t, [echo])
  const client = await host.client('viewer')
  const raw = async (payload: string) => {
    const answer = once(client.socket.io.engine as never, 'message')
    client.socket.io.engine.write(`27["lab:echo",${payload}]`)
    return String((await answer)[0])
  }
  t.equal(await raw('{"text":"a","text":"b"}'), '37[{"success":true,"got":{"text":"b"}}]')
  t.match(await raw('{"__proto__":{"text":"a"}}'), /INVALID_PAYLOAD/)
  t.match(await raw('{"text":"a","__proto__":1}'), /INVALID_PAYLOAD/)
  t.match(await raw('{"text":"a","constructor":{"prototype":{}}}'), /INVALID_PAYLOAD/)
})

void t.test('a message that is too large ends its connection and nothing else', async (t) => {
  const host = await startLab(t, [echo], { host: { limits: { messageBytes: 2000 } } })
  const [client, other] = [await host.client('viewer'), await host.client('viewer')]
  t.match(await client.ask('lab:any', 'x'.repeat(1900)), { success: true })
  const gone = once(client.socket, 'disconnect')
  client.socket.emit('lab:any', 'x'.repeat(2000))
  await gone
  t.match(await other.ask('lab:any', 1), { success: true })
})

void t.test('an ack number that comes twice is two commands with an answer each', async (t) => {
  const host = await startLab(t, [echo])
  await host.allow(5, 'viewer')
  const socket = await RawSocket.login(t, host, 5)
  for (let i = 0; i < 2; i++) socket.send(`421["lab:any",${i}]`)
  await socket.hears(/^431\[.*"got":1/)
  await socket.hears(/^431\[.*"got":0/)
  t.pass()
})

void t.test('a client without acks is served as well', async (t) => {
  const host = await startLab(t, [echo])
  const client = await host.client('viewer')
  const heard = hear(client)
  client.socket.emit('lab:any', 1)
  client.socket.emit('lab:echo')
  await client.ask('lab:none')
  t.match(heard, [['error', { code: 'INVALID_PAYLOAD', event: 'lab:echo' }]])
})
