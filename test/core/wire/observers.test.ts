import t from 'tap'
import type { CommandOutcome, Notice } from '../../../core/plugin/host-control.ts'
import { Observers } from '../../../core/wire/observers.ts'

const logged: unknown[][] = []
const write =
  (level: string) =>
  (...line: unknown[]) =>
    void logged.push([level, ...line])
const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
const outcome = { code: 'OK' } as CommandOutcome

void t.test('everybody who asks to be told is told, until he asks no more', (t) => {
  const observers = new Observers(log)
  const heard: unknown[] = []
  observers.command(outcome)
  t.notOk(observers.hearCommands)
  const first = observers.add({ notice: (notice) => heard.push(notice.kind) })
  t.notOk(observers.hearCommands, 'who hears notices alone has no command timed')
  const second = observers.add({
    command: ({ code }) => heard.push(code),
    delivered: (...event) => heard.push(event),
    cutOff: (user) => heard.push(user),
  })
  t.ok(observers.hearCommands)
  observers.command(outcome)
  observers.delivered('system', 'system:stats', 3, 1)
  observers.cutOff('telegram:1')
  observers.notice({ kind: 'command_line', command: 'login' })
  t.strictSame(heard, ['OK', ['system', 'system:stats', 3, 1], 'telegram:1', 'command_line'])
  second()
  first()
  t.notOk(observers.hearCommands)
  observers.command(outcome)
  observers.notice({ kind: 'command_line', command: 'login' })
  t.equal(heard.length, 4)
  t.end()
})

void t.test('the log tells who came in, who did not and whose session ended', (t) => {
  const observers = new Observers(log)
  const who = { userId: 'telegram:1', session: 's', address: '127.0.0.1' }
  logged.length = 0
  const notices: Notice[] = [
    { kind: 'login', by: 'telegram', ...who },
    { kind: 'connected', ...who },
    { kind: 'refused', code: 'AUTH_INVALID', reason: 'why', address: '127.0.0.1' },
    { kind: 'token_reused', ...who },
    { kind: 'session_ended', why: 'revoked', userId: 'telegram:1', session: 's' },
  ]
  for (const notice of notices) observers.notice(notice)
  t.strictSame(logged, [
    ['info', { by: 'telegram', ...who }, 'logged in'],
    ['warn', { code: 'AUTH_INVALID', reason: 'why', address: '127.0.0.1' }, 'refused'],
    ['warn', who, 'a replaced session token was used again'],
    ['info', { why: 'revoked', userId: 'telegram:1', session: 's' }, 'a session has ended'],
  ])
  t.end()
})
