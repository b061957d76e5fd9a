import { once } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { createLog } from '../../../core/log.ts'
import type { Log } from '../../../core/plugin/context.ts'
import { createPluginLog } from '../../../core/process/plugin-log.ts'

interface Line {
  readonly level: number
  readonly time: number
  readonly plugin: string
  readonly msg?: string
  readonly data?: Record<string, unknown>
  readonly err?: { readonly type: string; readonly message: string; readonly stack: string; readonly code?: unknown }
  readonly leftOut?: number
}

function record(isTTY = false, level = 'debug') {
  const texts: string[] = []
  const output = new Writable({
    write(chunk, _encoding, done) {
      texts.push(String(chunk))
      output.emit('line')
      done()
    },
  })
  const log = createPluginLog(createLog(level, Object.assign(output, { isTTY })).child({ plugin: 'lamp' }))
  return { texts, output, log, last: () => JSON.parse(texts.at(-1) ?? '') as Line }
}

/** As plugins in JavaScript can call it. */
const loosely = (log: Log) => log as unknown as { info(...args: unknown[]): void; warn(...args: unknown[]): void }

void t.test('what a plugin passes stands under data, so that no line of it can be taken for the host’s', (t) => {
  const { log, last } = record()
  const forged = { level: 60, time: 0, plugin: 'host', part: 'door', audit: true, msg: 'logged in', state: 'running', data: 1 }
  log.info({ ...forged }, 'switched on')
  t.same(last(), { level: 30, time: last().time, plugin: 'lamp', data: forged, msg: 'switched on' })
  t.ok(last().time > 0)
  log.warn(JSON.parse('{"__proto__": {"plugin": "host"}, "constructor": 1}') as object)
  t.equal(last().plugin, 'lamp')
  loosely(log).info('a sentence alone')
  t.match(last(), { msg: 'a sentence alone', data: {} })
  t.throws(() => Object.assign(log, { info: () => undefined }), TypeError, 'it cannot be replaced')
  t.end()
})

void t.test('nothing that a plugin passes runs while the line is written, or throws', (t) => {
  const { log, texts, last } = record()
  const circular: Record<string, unknown> = { name: 'ring' }
  circular.self = circular
  const trap = () => {
    throw new Error('trap')
  }
  const traps = { get: trap, ownKeys: trap, getOwnPropertyDescriptor: trap, has: trap, getPrototypeOf: trap }
  const hostile: unknown[] = [
    circular,
    { toJSON: () => ({ plugin: 'host' }) },
    Object.defineProperty({}, 'field', { enumerable: true, get: trap }),
    new Proxy({}, traps),
    { deep: new Proxy([], traps) },
    { err: new Proxy(new Error('x'), traps) },
    Object.defineProperty(new Error('x'), 'stack', { get: trap }),
    Object.defineProperty(new Error('x'), 'message', { get: trap }),
    { [Symbol('s')]: 1, symbol: Symbol('s'), run: trap, big: 2n ** 70n, none: undefined, not: Number.NaN },
    { date: new Date(Number.NaN), bytes: new Uint8Array(1e6), map: new Map([[1, 2]]) },
    Object.create({ inherited: 'no' }) as object,
    { err: { stack: 5 } },
    null,
    undefined,
    7,
    trap,
  ]
  for (const value of hostile) {
    loosely(log).info(value, 'hostile')
    t.match(last(), { plugin: 'lamp', msg: 'hostile', data: Object })
  }
  for (const message of [{ toString: trap }, Symbol('s'), null, 5]) loosely(log).info({}, message)
  t.equal(texts.length, hostile.length + 4)
  t.notMatch(texts.join(''), 'inherited')
  t.end()
})

void t.test('a line has at most 8 KiB, whatever is passed', (t) => {
  const { log, texts, last } = record()
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key-${index}`, 'x'.repeat(100)]))
  let deep: object = {}
  for (let level = 0; level < 10_000; level++) deep = { deep }
  const long = new Error('m'.repeat(1e6))
  for (const text of ['x', '\u0000', '\u200b', '\ud800', '🛜', '"']) {
    const many = text.repeat(1e5)
    log.error({ err: Object.assign(new Error(many), { code: many }), [many]: many, list: Array(500).fill(many) }, many)
  }
  log.error({ err: long, wide, deep, list: Array(1e5).fill(wide) }, 'm'.repeat(1e6))
  for (const line of texts) t.ok(Buffer.byteLength(line) <= 8192, `${Buffer.byteLength(line)} bytes`)
  log.info({}, 'm'.repeat(5000))
  t.equal(last().msg?.length, 1001)
  log.info({ deep }, 'deep')
  t.match(last().data, { deep: { deep: { deep: { deep: { deep: { deep: '[…]' } } } } } })
  t.end()
})

void t.test('an error keeps its type, code and stack, and its causes', (t) => {
  const { log, last } = record()
  log.error(
    { err: Object.assign(new TypeError('no lamp', { cause: new Error('no bus') }), { code: 'E_LAMP', token: 'x' }) },
    'failed',
  )
  t.match(last().err, { type: 'TypeError', message: 'no lamp', code: 'E_LAMP' })
  t.match(last().err?.stack, /^TypeError: no lamp\n {4}at [\s\S]*\ncaused by: Error: no bus\n {4}at /)
  t.same(last().data, {})
  loosely(log).warn(new Error('alone'), 'failed')
  t.match(last(), { msg: 'failed', err: { message: 'alone' } })
  log.info({ nested: { failure: new Error('inside') } })
  t.match(last().data, { nested: { failure: { message: 'inside' } } })
  const person = record(true)
  person.log.error({ err: new Error('no lamp'), led: 'ACT' }, 'failed')
  t.match(person.texts[0], /error lamp: failed led=ACT\nError: no lamp\n {4}at /)
  t.end()
})

void t.test('what bears a secret’s name is not written, however deep', (t) => {
  const { log, texts } = record()
  log.info({ password: 'sesame', a: { b: { c: { d: { token: 'sesame', pin: ['sesame'] } } } } }, 'deep')
  t.notMatch(texts[0], 'sesame')
  t.match(texts[0], '"token":"[secret]"')
  t.end()
})

void t.test('of too many lines some are left out, and one of the host’s says how many; then it goes on', async (t) => {
  const { log, texts, output, last } = record()
  // Its timer keeps no process alive.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(alive))
  for (let nth = 0; nth < 5000; nth++) log.info({}, 'again')
  await once(output, 'line')
  const written = texts.length - 1
  t.ok(written >= 200 && written < 300, `${written} were written`)
  t.match(last(), { level: 40, plugin: 'lamp', leftOut: 5000 - written, msg: 'it logged too much; lines were left out' })
  t.notOk(last().data, 'it is the host that says so')
  log.info({}, 'once more')
  t.equal(last().msg, 'once more')
})

void t.test('what is below the log’s level costs no lines', (t) => {
  const { log, texts } = record(false, 'info')
  for (let nth = 0; nth < 1000; nth++) log.debug({}, 'ticked')
  log.info({}, 'seen')
  t.equal(texts.length, 1)
  t.end()
})
