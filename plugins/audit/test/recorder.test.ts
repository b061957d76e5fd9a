import t, { type Test } from 'tap'
import type { Entry } from '../driver/entry.ts'
import { type Notice, type Outcome, Recorder } from '../recorder.ts'

function start(t: Test) {
  const written: Entry[] = []
  const recorder = new Recorder((entries) => written.push(...entries))
  t.teardown(() => recorder.close())
  return { recorder, written }
}

const caller = (user: number) => ({
  clientId: `client-${user}`,
  userId: `telegram:${user}`,
  sessionId: `session-${user}`,
  roles: ['owner'],
  claims: { secret: 'sesame' },
  namespace: '/',
  localAddress: '127.0.0.1',
})
const outcome = (fields: Partial<Outcome> = {}): Outcome => ({
  caller: caller(1),
  address: '192.0.2.1',
  module: 'lamp',
  command: 'lamp:set',
  role: 'operator',
  code: 'OK',
  id: undefined,
  ms: 2,
  ...fields,
})
const refused = (address: string, reason = 'expired'): Notice => ({ kind: 'refused', code: 'AUTH_INVALID', reason, address })

void t.test('who, what and with which result; of a command neither payload nor claims', (t) => {
  const { recorder, written } = start(t)
  recorder.command(outcome({ code: 'TIMEOUT', id: 'f1' }))
  recorder.close()
  const { time = '', ...rest } = written[0] ?? {}
  t.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000)
  t.same(rest, {
    kind: 'command',
    userId: 'telegram:1',
    session: 'session-1',
    address: '192.0.2.1',
    module: 'lamp',
    command: 'lamp:set',
    result: 'TIMEOUT',
    id: 'f1',
  })
  t.end()
})

void t.test('what a viewer may do is not recorded, but what anybody was forbidden is', (t) => {
  const { recorder, written } = start(t)
  recorder.command(outcome({ role: 'viewer' }))
  recorder.command(outcome({ role: 'viewer', code: 'TIMEOUT' }))
  recorder.command(outcome({ role: undefined, command: 'module:subscribe' }))
  recorder.command(outcome({ role: undefined, command: undefined, code: 'UNKNOWN_COMMAND' }))
  recorder.command(outcome({ role: 'viewer', command: 'lamp:get', code: 'FORBIDDEN' }))
  recorder.command(outcome({ role: undefined, command: 'module:subscribe', code: 'FORBIDDEN' }))
  recorder.command(outcome({ role: 'owner', command: 'host:enable', caller: { ...caller(1), namespace: '/studio' } }))
  recorder.close()
  t.match(written.map(({ command, result, namespace }) => [command, result, namespace]).sort(), [
    ['host:enable', 'OK', '/studio'],
    ['lamp:get', 'FORBIDDEN', undefined],
    ['module:subscribe', 'FORBIDDEN', undefined],
  ])
  t.equal(written.length, 3)
  t.end()
})

void t.test('notices keep their fields, texts cut to a length', (t) => {
  const { recorder, written } = start(t)
  const notices: Notice[] = [
    { kind: 'login', by: 'link', userId: 'local:owner', session: 's', address: '127.0.0.1' },
    { kind: 'session_ended', why: 'revoked', userId: 'local:owner', session: 's' },
    { kind: 'token_reused', userId: 'telegram:1', session: 's', address: '192.0.2.9' },
    { kind: 'refused', code: 'AUTH_INVALID', reason: 'x'.repeat(10_000), address: '192.0.2.9' },
    { kind: 'config', file: 'access', changes: Array.from({ length: 100 }, (_, id) => `users/${id}: owner`) },
    { kind: 'plugin', plugin: 'lamp', state: 'running', reason: undefined },
    { kind: 'command_line', command: 'login' },
    { kind: 'http', plugin: 'metrics', route: 'GET /', status: 401, userId: '', address: '192.0.2.9' },
  ]
  for (const notice of notices) recorder.notice(notice)
  recorder.close()
  t.equal(written.length, notices.length)
  const of = (kind: string) => written.find((entry) => entry.kind === kind)
  t.match(of('login'), { by: 'link', userId: 'local:owner', session: 's', address: '127.0.0.1' })
  t.equal(String(of('refused')?.reason).length, 257)
  t.equal((of('config')?.changes as string[] | undefined)?.length, 50)
  t.match(of('plugin'), { plugin: 'lamp', state: 'running' })
  t.match(of('session_ended'), { why: 'revoked' })
  t.end()
})

void t.test('the first is written at once, what is the same within a second is one more line with a count', async (t) => {
  const written: Entry[] = []
  let onWrite: (() => void) | undefined
  const recorder = new Recorder((entries) => {
    written.push(...entries)
    onWrite?.()
  })
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(alive))
  const more = () => new Promise<void>((resolve) => (onWrite = resolve))
  for (let nth = 0; nth < 500; nth++) recorder.command(outcome({ ms: nth, id: `f${nth}` }))
  recorder.command(outcome({ caller: caller(2) }))
  await more()
  t.match(written, [{ userId: 'telegram:1', id: 'f0' }, { userId: 'telegram:2' }])
  recorder.notice(refused('192.0.2.9'))
  recorder.notice(refused('192.0.2.9'))
  await more()
  t.match(written[2], { kind: 'refused' })
  while (written.length < 5) await more()
  t.match(written[3], { userId: 'telegram:1', count: 499 })
  t.match(written[4], { kind: 'refused', count: 1 }, 'each sort has a second of its own')
  recorder.close()
  t.equal(written.length, 5)
})

void t.test('whoever is refused over and over fills ten lines a minute, and is counted', (t) => {
  const { recorder, written } = start(t)
  for (let nth = 0; nth < 900; nth++) recorder.notice(refused('192.0.2.9', `reason ${nth}`))
  recorder.notice(refused('192.0.2.10'))
  recorder.command(outcome())
  recorder.close()
  t.equal(written.filter(({ address }) => address === '192.0.2.9').length, 11)
  t.match(
    written.find(({ kind }) => kind === 'left_out'),
    { of: 'refusals', address: '192.0.2.9', count: 890 },
  )
  t.ok(
    written.some(({ address }) => address === '192.0.2.10'),
    'another address has lines of its own',
  )
  t.ok(
    written.some(({ kind }) => kind === 'command'),
    'who is let in does not suffer',
  )
  t.end()
})

void t.test('with a thousand addresses there are few lines a day, and memory stays bounded', (t) => {
  const { recorder, written } = start(t)
  for (let round = 0; round < 30; round++) {
    for (let nth = 0; nth < 3000; nth++) recorder.notice(refused(`2001:db8::${nth.toString(16)}`, `reason ${round}`))
    recorder.close()
  }
  const lines = written.filter(({ kind }) => kind === 'refused').length
  t.ok(lines <= 2000, `${lines} refusals`)
  const leftOut = written.filter(({ kind }) => kind === 'left_out')
  t.ok(leftOut.length < 800, `${leftOut.length} lines tell of the others`)
  const told = leftOut.reduce((sum, { count }) => sum + Number(count), lines)
  t.equal(told, 90_000, 'every one is counted')
  t.end()
})

void t.test('whoever is let in cannot drive out the lines of others either', (t) => {
  const { recorder, written } = start(t)
  for (let nth = 0; nth < 5000; nth++) {
    recorder.command(outcome({ command: `lamp:${nth}`, code: 'FORBIDDEN' }))
    recorder.notice({ kind: 'connected', userId: 'telegram:1', session: `s${nth}`, address: '192.0.2.9' })
  }
  recorder.command(outcome({ caller: caller(2), code: 'FORBIDDEN' }))
  recorder.command(outcome({ caller: caller(2) }))
  recorder.close()
  t.equal(written.filter(({ result }) => result === 'FORBIDDEN').length, 20)
  t.equal(written.filter(({ kind }) => kind === 'connected').length, 30)
  t.ok(written.some(({ result, userId }) => result === 'OK' && userId === 'telegram:2'))
  t.end()
})

void t.test('a program that reads a route every few seconds is one line an hour', (t) => {
  const { recorder, written } = start(t)
  const read = (route: string): Notice => ({
    kind: 'http',
    plugin: 'metrics',
    route,
    status: 200,
    userId: 'token:metrics',
    address: '127.0.0.1',
  })
  for (let nth = 0; nth < 240; nth++) {
    recorder.notice(read('GET /'))
    recorder.close()
  }
  t.equal(written.filter(({ kind }) => kind === 'http').length, 1)
  const counted = written.filter(({ kind }) => kind === 'left_out').reduce((sum, { count }) => sum + Number(count), 0)
  t.equal(counted, 239)
  t.match(written[1], { of: 'reads', reader: 'token:metrics metrics GET /' })
  t.end()
})
