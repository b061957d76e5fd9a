import { Writable } from 'node:stream'
import t from 'tap'
import { captureConsole, createLog, printable } from '../../core/log.ts'

function record(isTTY: boolean, secret?: string) {
  const lines: string[] = []
  const write = (chunk: unknown, _encoding: string, done: () => void) => {
    lines.push(String(chunk))
    done()
  }
  const output = Object.assign(new Writable({ write }), { isTTY })
  return { lines, log: createLog('info', output, secret ? [secret] : []) }
}

const evil = 'a\n\x1b[31mb\u202e\u2028\x9bc'

void t.test('a line is one line of JSON without control or invisible characters, and reads back as it was', (t) => {
  const { lines, log } = record(false)
  log.child({ plugin: 'wifi' }).info({ ssid: evil }, evil)
  const [line = ''] = lines
  t.match(line, /^[\x20-\x7e]+\n$/)
  t.match(JSON.parse(line), { level: 30, plugin: 'wifi', ssid: evil, msg: evil })
  t.end()
})

void t.test('on a terminal it is for people: clock, level, who, what; errors with their stack', (t) => {
  const { lines, log } = record(true)
  log.child({ plugin: 'wifi' }).warn({ ssid: evil, count: 2 }, 'seen')
  t.match(lines[0], /^\d\d:\d\d:\d\d warn {2}wifi: seen ssid=a\\u\{a\}\\u\{1b\}\[31mb\\u\{202e\}\\u\{2028\}\\u\{9b\}c count=2\n$/)
  log.error({ err: Object.assign(new Error(evil), { code: 1 }) }, 'broken')
  const [first, ...stack] = (lines[1] ?? '').split('\n')
  t.match(first, /error patchbay: broken$/)
  t.match(stack.join('\n'), /\n {4}at /)
  for (const hidden of ['\x1b', '\u202e']) t.notOk(lines[1]?.includes(hidden))
  log.info('plain')
  t.match(lines[2], /info {2}patchbay: plain\n$/)
  t.end()
})

void t.test('secrets are not written: neither under their names nor the one that is known, wherever it stands', (t) => {
  for (const isTTY of [false, true]) {
    const { lines, log } = record(isTTY, '123:token')
    for (const key of ['token', 'sessionToken', 'initData', 'password', 'pin', 'secret', 'authorization', 'cookie'])
      log.info({ [key]: 'open sesame', deep: { [key]: 'open sesame', deeper: { [key]: 'open sesame' } } })
    log.error({ err: new Error('https://api.telegram.org/bot123:token/getMe') }, 'bot123:token')
    t.equal(lines.length, 9)
    t.notMatch(lines.join(''), 'open sesame')
    t.notMatch(lines.join(''), '123:token')
    t.match(lines[0], '[secret]')
  }
  t.end()
})

void t.test('what is written to the console becomes lines of the log, of limited length and number', async (t) => {
  const { lines, log } = record(false)
  const release = captureConsole(log)
  t.teardown(release)
  console.log('on %s', 'lamp', { led: 'ACT' }, evil)
  console.error(new Error('no lamp'))
  console.table([{ a: 1 }])
  console.info('x'.repeat(5000))
  const parsed = lines.map((line) => JSON.parse(line) as { level: number; part: string; msg: string })
  t.match(parsed[0], { level: 30, part: 'console', msg: `on lamp { led: 'ACT' } ${evil}` })
  t.match(parsed[1], { level: 40, part: 'console', msg: /^Error: no lamp\n {4}at / })
  t.match(parsed[2], { msg: /│ a │/ })
  t.equal(parsed[3]?.msg.length, 1001)
  t.equal(lines.length, 4)
  for (let nth = 0; nth < 1000; nth++) console.log(nth)
  release()
  t.ok(lines.length >= 200 && lines.length < 300, `${lines.length} of 1004 were written`)
  console.debug('# not in the log')
  t.notMatch(lines.at(-1), 'not in the log')
})

void t.test('printable leaves text as it is but for what is not seen', (t) => {
  t.equal(printable('Zoë’s Wi-Fi 🛜'), 'Zoë’s Wi-Fi 🛜')
  t.equal(printable('a\u200bb\u061c\u{e0041}'), 'a\\u{200b}b\\u{61c}\\u{e0041}')
  t.end()
})
