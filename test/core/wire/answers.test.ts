import t, { type Test } from 'tap'
import type { Call } from '../../../core/plugin/context.ts'
import type { TestHost } from '../../../core/testing/host.ts'
import { coreErrors } from '../../../core/wire/errors.ts'
import { command, dial, type Heard, hear, type LooseContext, once, startLab, until } from './lab.ts'

let host: TestHost
let ctx: LooseContext
/** What the handler of `lab:do` does next. */
let deed: (payload: Heard, call: Call) => unknown
/** A promise, and what settles it. */
const later = () => {
  let [resolve, reject] = [(_value?: unknown) => {}, (_error: unknown) => {}]
  const promise = new Promise<unknown>((yes, no) => ([resolve, reject] = [yes, no]))
  return { promise, resolve, reject }
}

t.before(async () => {
  host = await startLab(t as Test, [
    {
      contract: {
        id: 'lab',
        commands: {
          'lab:do': command({ payload: { type: 'object' }, timeoutMs: 10_000 }),
          'lab:soon': command({ timeoutMs: 150 }),
          'lab:promise': command({ result: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } }),
          'lab:owner': { timeoutMs: 200 },
        },
        events: { 'lab:event': { payload: {} } },
        errors: { LAB_BROKEN: 'The lab is broken.' },
      },
      start(given) {
        ctx = given
        for (const name of ['lab:do', 'lab:soon', 'lab:promise', 'lab:owner'])
          given.handle(name, (payload, call) => deed(payload, call))
      },
    },
  ])
})

/** The ack and the `error` event of one command that fails. */
async function failure(role: string, name: string, payload: unknown = {}) {
  const client = await host.client(role)
  const [ack, event] = await Promise.all([client.ask(name, payload), client.next<Heard>('error')])
  client.socket.close()
  return { ack, event }
}

void t.test('a command is answered with its result', async (t) => {
  const client = await host.client('viewer')
  const heard = hear(client)
  deed = ({ n }) => ({ n })
  t.strictSame(await client.ask('lab:do', { n: 1 }), { success: true, n: 1 })
  deed = async () => ({ n: 2 })
  t.strictSame(await client.ask('lab:do', {}), { success: true, n: 2 }, 'a promise too')
  for (const nothing of [undefined, null, {}]) {
    deed = () => nothing
    t.strictSame(await client.ask('lab:do', {}), { success: true })
  }
  // biome-ignore lint/suspicious/noThenProperty: it is about a promise of another make
  deed = () => ({ then: (resolve: (value: unknown) => void) => resolve({ n: 3 }) })
  t.strictSame(await client.ask('lab:do', {}), { success: true, n: 3 }, 'a promise of another make too')
  t.strictSame(heard, [], 'and nothing else is heard')
})

void t.test('what a handler answers cannot turn the ack around', async (t) => {
  const client = await host.client('viewer')
  deed = () => ({ success: false, code: 'X' })
  t.match(await client.ask('lab:do', {}), { success: true })
  for (const garbage of ['text', 42, true, ['a'], () => {}, Symbol('x'), 7n]) {
    deed = () => garbage
    t.match(await client.ask('lab:do', {}), { success: false, code: 'INTERNAL' }, `${typeof garbage} is no result`)
  }
  const circle: Record<string, unknown> = {}
  circle.self = circle
  for (const garbage of [
    circle,
    { big: 7n },
    {
      toJSON: () => {
        throw new Error('no')
      },
    },
  ]) {
    deed = () => garbage
    t.match(
      await client.ask('lab:do', {}),
      { success: false, code: 'INTERNAL', id: String },
      'what cannot be encoded is no result',
    )
    deed = async () => garbage
    t.match(await client.ask('lab:do', {}), { success: false, code: 'INTERNAL', id: String }, 'from a promise neither')
  }
})

void t.test('a result that the contract does not declare is a fault of the plugin', async (t) => {
  const client = await host.client('viewer')
  deed = () => ({ n: 1 })
  t.strictSame(await client.ask('lab:promise'), { success: true, n: 1 })
  deed = async () => ({ n: 'one' })
  t.match(await client.ask('lab:promise'), { success: false, code: 'INTERNAL' })
  deed = () => ({})
  t.match(await client.ask('lab:promise'), { success: false, code: 'INTERNAL' })
  t.ok(
    host.log.some((line) => line.includes('lab:promise answered what its contract does not say')),
    'the log says which',
  )
})

void t.test('ack and error channel tell the same failure by one id', async (t) => {
  deed = () => {
    throw ctx.error('LAB_BROKEN')
  }
  const { ack, event } = await failure('viewer', 'lab:do')
  t.strictSame(ack, { success: false, code: 'LAB_BROKEN', error: 'The lab is broken.', id: event.id })
  t.strictSame(event, { module: 'lab', code: 'LAB_BROKEN', message: 'The lab is broken.', event: 'lab:do', id: ack.id })

  deed = async () => {
    throw ctx.error('LAB_BROKEN', 'A bulb.', { details: { bulb: 3 }, retryAfter: 9 })
  }
  const second = await failure('viewer', 'lab:do')
  t.strictSame(second.ack, { success: false, code: 'LAB_BROKEN', error: 'A bulb.', id: second.event.id, retryAfter: 9 })
  t.match(second.event, { message: 'A bulb.', details: { bulb: 3 }, retryAfter: 9 })
  t.not(second.ack.id, ack.id)
})

void t.test('only the sender hears of a failed command, also without an ack', async (t) => {
  const [sender, other] = [await host.client('viewer'), await host.client('viewer')]
  for (const client of [sender, other]) await client.ask('module:subscribe', { module: 'lab' })
  const heard = hear(other)
  deed = () => {
    throw ctx.error('LAB_BROKEN')
  }
  sender.socket.emit('lab:do', {})
  t.match(await sender.next('error'), { code: 'LAB_BROKEN', event: 'lab:do' })
  await other.ask('module:subscribe', { module: 'lab' })
  t.strictSame(heard, [])
})

void t.test('whatever a handler throws that is no declared error is INTERNAL and stays inside', async (t) => {
  const secret = '/srv/secret/path'
  const things: unknown[] = [
    new Error(secret),
    new TypeError(secret),
    Object.assign(new Error(secret), { code: 'ENOENT' }),
    Object.assign(new Error(secret), { code: 'LAB_UNDECLARED' }),
    Object.assign(new Error(secret), { code: 'SESSION_EXPIRED' }),
    Object.assign(new Error(secret), { code: 'MODULE_DISABLED' }),
    Object.assign(new Error(secret), { code: 'toString' }),
    Object.assign(new Error(secret), { code: '__proto__' }),
    Object.assign(new Error(secret), { code: { toString: () => 'FORBIDDEN' } }),
    secret,
    42,
    null,
    undefined,
    { message: secret },
    Symbol(secret),
    () => secret,
    Object.freeze([]),
    new Proxy(
      {},
      {
        get: () => {
          throw new Error(secret)
        },
      },
    ),
    {
      get code() {
        throw new Error(secret)
      },
    },
  ]
  const client = await host.client('viewer')
  const heard = hear(client)
  for (const thing of things) {
    deed = () => {
      throw thing
    }
    const sync = await client.ask('lab:do', {})
    deed = () => Promise.reject(thing)
    const rejected = await client.ask('lab:do', {})
    for (const ack of [sync, rejected])
      t.strictSame(ack, { success: false, code: 'INTERNAL', error: coreErrors.INTERNAL, id: ack.id })
    t.ok(
      host.log.some((line) => line.includes(String(sync.id))),
      'the log tells more under the same id',
    )
  }
  await client.ask('module:unsubscribe', { module: 'lab' })
  t.equal(heard.length, 2 * things.length)
  t.notOk(JSON.stringify(heard).includes(secret))
})

void t.test("a handler may use some of the core's codes", async (t) => {
  for (const code of ['MODULE_UNAVAILABLE', 'INVALID_PAYLOAD', 'FORBIDDEN', 'TIMEOUT', 'RATE_LIMITED'] as const) {
    deed = () => {
      throw ctx.error(code)
    }
    t.match((await failure('viewer', 'lab:do')).ack, { code, error: coreErrors[code] })
    deed = () => Promise.reject({ code, message: 7, retryAfter: 'soon' })
    const { ack } = await failure('viewer', 'lab:do')
    t.strictSame(ack, { success: false, code, error: coreErrors[code], id: ack.id }, 'what is malformed is left out')
  }
})

void t.test('details that cannot be encoded do not keep the answer from the client', async (t) => {
  for (const details of [
    7n,
    { deep: { big: 7n } },
    {
      toJSON: () => {
        throw new Error('no')
      },
    },
  ]) {
    deed = () => {
      throw ctx.error('LAB_BROKEN', 'A bulb.', { details })
    }
    t.match((await failure('viewer', 'lab:do')).ack, { success: false, id: String })
    deed = () => Promise.reject(ctx.error('LAB_BROKEN', 'A bulb.', { details }))
    t.match((await failure('viewer', 'lab:do')).ack, { success: false, id: String })
  }
})

void t.test('what a handler publishes precedes its ack, and what it leaves for afterwards follows it', async (t) => {
  const client = await host.client('viewer')
  await client.ask('module:subscribe', { module: 'lab' })
  const order: string[] = []
  client.socket.onAny((_event, payload) => order.push(payload))
  const run = async (handler: typeof deed) => {
    order.length = 0
    deed = handler
    const arrived = client.next('lab:event', (value) => value === 'after')
    client.socket.emit('lab:do', {}, () => order.push('ack'))
    await arrived
    t.strictSame(order, ['before', 'ack', 'after'])
  }
  await run((_payload, call) => {
    call.afterAck(() => ctx.publish('lab:event', 'after'))
    ctx.publish('lab:event', 'before')
  })
  await run(async (_payload, { afterAck }) => {
    await Promise.resolve()
    afterAck(async () => ctx.publish('lab:event', 'after'))
    ctx.publish('lab:event', 'before')
  })
})

void t.test('what is left for afterwards may fail, runs without an ack too, and not after a failure', async (t) => {
  const client = await host.client('viewer')
  const done = later()
  deed = (_payload, { afterAck }) => {
    afterAck(() => {
      throw new Error('afterthought 1')
    })
    afterAck(() => Promise.reject(new Error('afterthought 2')))
    afterAck(() => done.resolve())
  }
  client.socket.emit('lab:do', {})
  await done.promise
  await until(() => ['afterthought 1', 'afterthought 2'].every((text) => host.log.some((line) => line.includes(text))))
  let ran = false
  deed = (_payload, { afterAck }) => {
    afterAck(() => {
      ran = true
    })
    throw ctx.error('LAB_BROKEN')
  }
  await client.ask('lab:do', {})
  await client.ask('module:unsubscribe', { module: 'lab' })
  t.notOk(ran)
})

void t.test('a command that outlives its time is answered TIMEOUT and its signal is aborted', async (t) => {
  let call: Call | undefined
  const aborted = later()
  deed = (_payload, given) => {
    call = given
    given.signal.addEventListener('abort', aborted.resolve)
    return new Promise(() => {})
  }
  const begun = performance.now()
  const { ack, event } = await failure('viewer', 'lab:soon', undefined)
  await aborted.promise
  t.ok(performance.now() - begun >= 140, 'not earlier')
  t.match(ack, { success: false, code: 'TIMEOUT', error: coreErrors.TIMEOUT })
  t.match(event, { module: 'lab', code: 'TIMEOUT', event: 'lab:soon', id: ack.id })

  deed = (_payload, given) => {
    call = given
    return new Promise(() => {})
  }
  await failure('viewer', 'lab:soon', undefined)
  t.ok(call?.signal.aborted, 'also when it is first asked for afterwards')
})

void t.test('an answer that comes too late, or twice, is dropped', async (t) => {
  const client = await host.client('viewer')
  const answer = later()
  deed = () => answer.promise
  t.match(await client.ask('lab:soon'), { code: 'TIMEOUT' })
  const heard = hear(client)
  answer.reject(new Error('far too late'))
  await client.ask('module:unsubscribe', { module: 'lab' })
  t.strictSame(heard, [])
})

void t.test('a handler stops the clock while a person is asked', async (t) => {
  const client = await host.client('viewer')
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  deed = async (_payload, { suspendDeadline }) => {
    const resume = suspendDeadline(5000)
    await wait(300)
    resume()
    resume()
    return { n: 1 }
  }
  t.match(await client.ask('lab:soon'), { success: true, n: 1 }, 'from its first line')
  deed = async (_payload, call) => {
    await wait(10)
    const [first, second] = [call.suspendDeadline(5000), call.suspendDeadline(5000)]
    first()
    await wait(300)
    second()
    return { n: 2 }
  }
  t.match(await client.ask('lab:soon'), { success: true, n: 2 }, 'two questions overlap')
  deed = async (_payload, call) => {
    call.suspendDeadline(5000)()
    await wait(300)
  }
  t.match(await client.ask('lab:soon'), { code: 'TIMEOUT' }, 'after that it runs on')
  deed = async (_payload, call) => {
    call.suspendDeadline(50)
    await wait(500)
  }
  t.match(await client.ask('lab:soon'), { code: 'TIMEOUT' }, 'no longer than it said')
  let call: Call | undefined
  deed = (_payload, given) => {
    call = given
  }
  await client.ask('lab:soon')
  t.doesNotThrow(() => call?.suspendDeadline(10)(), 'afterwards it means nothing')
})

void t.test('a client that leaves aborts what it asked for', async (t) => {
  const client = await host.client('viewer')
  const begun = later()
  const aborted = later()
  deed = (_payload, { signal }) => {
    signal.addEventListener('abort', aborted.resolve)
    begun.resolve()
    return new Promise(() => {})
  }
  client.socket.emit('lab:do', {})
  await begun.promise
  client.socket.close()
  await aborted.promise
  t.pass()
})

void t.test('a module that stops answers what is in flight', async (t) => {
  const [client, owner] = [await host.client('viewer'), await host.client('owner')]
  const begun = later()
  deed = () => {
    begun.resolve()
    return new Promise(() => {})
  }
  const answer = client.ask('lab:do', {})
  await begun.promise
  t.match(await owner.ask('host:disable', { id: 'lab' }), { success: true })
  t.match(await answer, { success: false, code: 'MODULE_UNAVAILABLE' })
  await host.reached('lab', 'disabled')
  t.match(await client.ask('lab:do', {}), { code: 'MODULE_DISABLED', error: /lab is disabled/ })
  await owner.ask('host:enable', { id: 'lab' })
  await host.reached('lab', 'running')
  deed = () => ({ n: 1 })
  t.strictSame(await client.ask('lab:do', {}), { success: true, n: 1 })
})

void t.test('a module that fails says so, and comes back', async (t) => {
  const client = await host.client('viewer')
  ctx.fail('the bulb burst')
  await host.reached('lab', 'failed')
  t.match(await client.ask('lab:do', {}), { code: 'MODULE_FAILED', error: /the bulb burst/ })
  await host.reached('lab', 'running')
  deed = () => ({ n: 1 })
  t.strictSame(await client.ask('lab:do', {}), { success: true, n: 1 })
})

void t.test('a handler sees its caller and nothing of the host', async (t) => {
  const client = await host.client('operator', 4711)
  let seen: Call | undefined
  deed = (_payload, call) => {
    seen = call
  }
  await client.ask('lab:do', {})
  const { sessionId, claims, ...caller } = { ...seen?.caller } as Heard
  const who = { clientId: client.socket.id, userId: 'telegram:4711', roles: ['operator'], namespace: '/' }
  t.strictSame(caller, { ...who, localAddress: '127.0.0.1' })
  t.type(sessionId, 'string')
  t.type(claims, 'object')
  const names = (object: object): string[] =>
    object === Object.prototype ? [] : [...Object.keys(object), ...names(Object.getPrototypeOf(object))]
  t.notOk(
    [...names(seen as Call), ...names(seen?.caller as object)].some((name) =>
      ['client', 'command', 'socket', 'session'].includes(name),
    ),
  )
})

void t.test('what must be an owner is FORBIDDEN to others, at every try', async (t) => {
  let ran = false
  deed = () => {
    ran = true
  }
  for (const role of ['viewer', 'operator'])
    t.match((await failure(role, 'lab:owner', undefined)).ack, { code: 'FORBIDDEN', error: 'You may not use lab:owner.' })
  t.notOk(ran)
})

void t.test('unknown names are UNKNOWN_COMMAND, whatever they are', async (t) => {
  const client = await host.client('owner')
  for (const name of [
    'nothing',
    'lab:nothing',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'lab',
    '',
    '\u0000\u001b[2J',
    'x'.repeat(5000),
    'lab:event',
    'error',
    'message',
  ])
    t.match(await client.ask(name, {}), {
      success: false,
      code: 'UNKNOWN_COMMAND',
      error: /^There is no command .{2,190} here\.$/,
    })
  const { ack, event } = await failure('owner', `lab:${'y'.repeat(500)}`)
  t.match(event, { module: 'host', code: 'UNKNOWN_COMMAND', id: ack.id, event: /^lab:y{76}$/ })
  const told = client.next('error')
  client.socket.io.engine.write('2[5]')
  t.match(await told, { code: 'UNKNOWN_COMMAND', event: '5' }, 'a number is no name either')
})

void t.test('words that Socket.IO keeps for itself end the connection and nothing else', async (t) => {
  for (const name of ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']) {
    const socket = dial(t, host, { initData: host.initData(4711) })
    await once(socket, 'auth:success')
    socket.io.engine.write(`2["${name}"]`)
    await once(socket, 'disconnect')
  }
  t.match(await (await host.client('viewer')).ask('module:unsubscribe', { module: 'lab' }), { success: true })
})
