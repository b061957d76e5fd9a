import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { io } from 'socket.io-client'
import t from 'tap'
import { coreCodes } from '../../../core/wire/errors.ts'
import { command, type Heard, type LooseContext, memory, once, RawSocket, startLab, until } from './lab.ts'

const unhandled: unknown[] = []
process.on('unhandledRejection', (reason) => unhandled.push(reason))

const text = { type: 'string', minLength: 1, maxLength: 8 }
const shapes = {
  none: undefined,
  any: {},
  text,
  object: {
    type: 'object',
    properties: { id: text, n: { type: 'integer', minimum: 0 } },
    required: ['id'],
    additionalProperties: false,
  },
  tree: {
    type: 'object',
    properties: { items: { type: 'array', items: { type: 'object', additionalProperties: text }, maxItems: 5 } },
  },
  pattern: { type: 'string', pattern: '^[a-z]{1,10}$' },
  either: { anyOf: [{ type: 'null' }, { type: 'number' }, { const: 'all' }] },
}
const contract = {
  id: 'lab',
  commands: Object.fromEntries(
    Object.entries(shapes).map(([name, payload]) => [`lab:${name}`, command(payload ? { payload, inFlight: 1000 } : {})]),
  ),
  errors: { LAB_ODD: 'An odd number of values.' },
}
const start = (ctx: LooseContext) => {
  for (const name of Object.keys(contract.commands))
    ctx.handle(name, async (payload) => {
      if (JSON.stringify(payload ?? null).length % 2) throw ctx.error('LAB_ODD')
      return { payload }
    })
}

/** Everything but what restarts the machine the tests run on. */
const roles = { fuzzer: ['*', '!system:reboot'] }
const limits = { failuresPerMinute: 1_000_000, socketsPerAddress: 10_000, pendingPerAddress: 10_000, inFlightPerUser: 1000 }
const wordOf = (...words: string[]) =>
  fc.oneof({ arbitrary: fc.constantFrom(...words), weight: 3 }, { arbitrary: fc.string(), weight: 1 })
const word = wordOf('host', 'lab', 'nobody', '__proto__')
const key = wordOf('id', 'n', 'items', 'module', 'all', 'initData', 'sessionToken', '__proto__', 'constructor', 'toString')
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom<unknown>(
      null,
      true,
      0,
      -1,
      1e308,
      '',
      'host',
      'lab',
      'system',
      '__proto__',
      '\u0000',
      '\ud800',
      'x'.repeat(2000),
    ),
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true }),
    fc.array(tie('value')),
    fc.array(fc.tuple(key, tie('value'))).map((entries) => Object.fromEntries(entries)),
  ),
})).value

void t.test('no payload of any command gets more than a coded answer', async (t) => {
  const host = await startLab(t, [{ contract, start }], { builtins: ['system', 'storage'], roles, host: { limits } })
  const contracts = ['host', 'system', 'storage'].map((id) =>
    readFileSync(new URL(`../../../dist/plugins/${id}/contract.json`, import.meta.url), 'utf8'),
  )
  const codes = new Set([...coreCodes, 'LAB_ODD', ...contracts.flatMap((text) => Object.keys(JSON.parse(text).errors ?? {}))])
  const names = [
    'module:subscribe',
    'module:unsubscribe',
    'system:reboot',
    'storage:refresh',
    'host:enable',
    'host:disable',
    'host:restart',
    'host:release',
    'host:sessions',
    'host:revoke',
  ]
  const message = fc.tuple(
    wordOf(...Object.keys(contract.commands), ...Object.keys(contract.commands), ...names),
    fc.array(fc.oneof(value, fc.record({ module: word }), fc.record({ id: fc.constantFrom('host', 'nobody', '__proto__') })), {
      maxLength: 2,
    }),
  )
  const client = await host.client('fuzzer')
  const seen = new Map<string, number>()
  const round = async () => {
    const answers = fc.sample(message, 700).map(async ([name, args]) => {
      const answer = (await client.socket.timeout(8000).emitWithAck(name, ...args)) as Heard
      const isCoded =
        answer.success === true ||
        (answer.success === false && codes.has(answer.code) && typeof answer.error === 'string' && typeof answer.id === 'string')
      if (!isCoded) t.fail(`${JSON.stringify([name, ...args]).slice(0, 300)} was answered ${JSON.stringify(answer)}`)
      seen.set(answer.code ?? 'ok', (seen.get(answer.code ?? 'ok') ?? 0) + 1)
    })
    await Promise.all(answers)
    ;(host.log as string[]).length = 0
  }
  await round()
  await round()
  const before = await memory()
  for (let i = 0; i < 4; i++) await round()
  const grown = (await memory()) - before
  t.ok(grown < 3_000_000, `2,800 messages left ${grown} bytes behind`)
  for (const code of ['ok', 'LAB_ODD', 'INVALID_PAYLOAD', 'UNKNOWN_COMMAND', 'MODULE_NOT_FOUND', 'FORBIDDEN', 'RATE_LIMITED'])
    t.ok(seen.has(code), `${code} was among the answers`)
  t.notOk(seen.has('INTERNAL'), 'and no fault of a plugin')
  t.ok(client.socket.connected)
  t.ok(host.host.status().every(({ state }) => state !== 'failed' && state !== 'quarantined'))
  t.strictSame(unhandled, [])
})

void t.test('no handshake gets more than one of four refusals', async (t) => {
  const host = await startLab(t, [], { host: { limits } })
  const initData = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.webQueryParameters(),
    fc.constant(host.initData(5)),
    fc.constant(host.initData(5).replace('id', 'di')),
  )
  const auth = fc.oneof(
    value,
    fc.record({ initData }),
    fc.record({ sessionToken: fc.oneof(value, fc.base64String({ minLength: 40, maxLength: 60 })) }),
  )
  const round = async () => {
    let socket = await RawSocket.open(t, host.url)
    for (const given of fc.sample(auth, 150)) {
      socket.heard.length = 0
      socket.send(`40${JSON.stringify(given)}`)
      await until(() => socket.heard.some((packet) => packet.startsWith('44')) || !socket.isOpen)
      const answer = socket.heard.find((packet) => packet.startsWith('44'))
      if (answer)
        t.match(JSON.parse(answer.slice(2)), {
          message: /^(AUTH_REQUIRED|AUTH_INVALID|ACCESS_DENIED|SESSION_EXPIRED)$/,
          data: { reason: String },
        })
      else socket = await RawSocket.open(t, host.url)
    }
    socket.tcp.destroy()
    ;(host.log as string[]).length = 0
  }
  await round()
  t.match(await (await host.client('viewer')).ask('host:sessions'), { success: true })
  t.strictSame(unhandled, [])
})

void t.test('no packet of Engine.IO or Socket.IO does harm, before the login or after it', async (t) => {
  const host = await startLab(t, [{ contract, start }], { host: { limits } })
  await host.allow(5, 'viewer')
  const witness = await host.client('viewer', 6)
  const json = value.map((content) => JSON.stringify(content))
  const placeholder = fc
    .record({
      _placeholder: fc.constantFrom<unknown>(true, false, 1),
      num: fc.constantFrom<unknown>(0, 1, -1, 1e9, 'x', null, '__proto__'),
    })
    .map((content) => JSON.stringify(content))
  const packet = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '0',
      '1',
      '2',
      '2probe',
      '3',
      '4',
      '5',
      '6',
      '7',
      'b',
      'bAAAA',
      '40',
      '41',
      '42',
      '43',
      '44',
      '45',
      '46',
      '40/lab,',
      '42["error"]',
      '43-1[]',
      '431[]',
      '4399999999999999999999[]',
      '45-[]',
      '451-["x"',
      '4599999999-["lab:any"]',
      '42[null]',
      '42[{}]',
      '42[[]]',
      '42["lab:any",{"toJSON":1}]',
    ),
    fc
      .tuple(fc.constantFrom('40', '42', '421', '43', '431', '44', '451-', '461-'), json)
      .map(([type, content]) => type + content),
    fc.tuple(json, json).map(([one, two]) => `427["lab:any",${one},${two}]`),
    fc.tuple(fc.integer({ min: 0, max: 3 }), placeholder).map(([count, content]) => `45${count}-["lab:any",${content}]`),
    fc
      .tuple(fc.nat(50), placeholder)
      .map(([depth, content]) => `451-["lab:any",${'['.repeat(depth * 1000)}${content}${']'.repeat(depth * 1000)}]`),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  )
  const talk = async (packets: Array<string | Buffer>, isLoggedIn: boolean) => {
    const socket = isLoggedIn ? await RawSocket.login(t, host, 5) : await RawSocket.open(t, host.url)
    for (const content of packets) socket.send(content, typeof content === 'string' ? 1 : 2)
    socket.tcp.end()
    await socket.closed
  }
  const round = async () => {
    for (const packets of fc.sample(fc.array(packet, { maxLength: 12 }), 60))
      await Promise.all([talk(packets, true), talk(packets, false)])
    t.match(await witness.ask('lab:any', {}), { success: true, payload: {} })
    ;(host.log as string[]).length = 0
  }
  await round()
  const before = await memory()
  for (let i = 0; i < 3; i++) await round()
  const grown = (await memory()) - before
  t.ok(grown < 4_000_000, `360 connections left ${grown} bytes behind`)
  t.equal(host.host.subscriberCount('lab'), 0)
  t.strictSame(unhandled, [])
})

void t.test('frames that are no WebSocket frames end their connection', async (t) => {
  const host = await startLab(t, [])
  for (const bytes of [
    'ff',
    '81',
    '8a7f',
    '817fffffffffffffffff',
    '8100',
    'c18000000000',
    '8f8000000000',
    '89fe00000000',
    '00'.repeat(5000),
  ]) {
    const socket = await RawSocket.open(t, host.url)
    socket.tcp.end(Buffer.from(bytes, 'hex'))
    await socket.closed
  }
  t.match(await (await host.client('viewer')).ask('host:sessions'), { success: true })
})

void t.test('five hundred clients that lose their connection at once all come back', async (t) => {
  const host = await startLab(t, [])
  const users = await Promise.all(Array.from({ length: 25 }, (_, i) => host.client('viewer', 100 + i)))
  const sockets = users.flatMap(({ sessionToken }) =>
    Array.from({ length: 19 }, () =>
      io(host.url, {
        auth: { sessionToken },
        transports: ['websocket'],
        forceNew: true,
        reconnectionDelay: 100,
        reconnectionDelayMax: 500,
      }),
    ),
  )
  t.teardown(() => {
    for (const socket of sockets) socket.close()
  })
  for (const socket of sockets) socket.on('auth:success', () => socket.emit('module:subscribe', { module: 'host' }))
  const begun = performance.now()
  await until(() => host.host.subscriberCount('host') === sockets.length, 'not all came in', 20_000)
  t.comment(`475 connected and subscribed in ${Math.round(performance.now() - begun)} ms`)
  const before = await memory()
  for (let i = 0; i < 2; i++) {
    const stormed = performance.now()
    const lost = Promise.all(sockets.map((socket) => once(socket, 'disconnect')))
    for (const { io } of sockets) io.engine.close()
    await lost
    for (const socket of sockets) socket.connect()
    await until(
      () => sockets.every(({ connected }) => connected) && host.host.subscriberCount('host') === sockets.length,
      'not all came back',
      20_000,
    )
    t.comment(`all back in ${Math.round(performance.now() - stormed)} ms`)
  }
  t.match(await users[0]?.ask('host:sessions'), { success: true }, 'and who was there all the time was served')
  const grown = (await memory()) - before
  t.ok(grown < 20_000_000, `${grown} bytes more`)
  t.strictSame(unhandled, [])
})
