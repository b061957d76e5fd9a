import t from 'tap'
import { type Heard, Siege, until } from './lab.ts'

t.setTimeout(300_000)

/** What no honest process says on the channel, and what the host ends it for. */
const lies: Readonly<Record<string, readonly string[]>> = {
  'no JSON': ['hello'],
  'an empty line': [''],
  'no list': ['{"kind":"publish"}'],
  'a kind that is no text': ['[1]'],
  'a kind that is none': ['["become",{"owner":true}]'],
  'a name of a method': ['["__proto__"]'],
  'an event that is not its own': ['["publish","/","near:tick",null,1]'],
  'an event of the host': ['["publish","/","host:plugins",null,[]]', '["publish","/","auth:success",null,{}]'],
  'an event on a namespace that is not its own': ['["publish","/studio","hostile:any",null,1]'],
  'an event to an address that is none': ['["publish","/","hostile:told",{"everybody":true},1]'],
  'an event of its prototype': ['["publish","/","__proto__",null,1]'],
  'a value that is too deep': [`["publish","/","hostile:any",null,${'['.repeat(2000)}${']'.repeat(2000)}]`],
  'an error code that is not its own': ['["error",{"code":"NEAR_BROKEN","message":"x"}]'],
  'an error that is none': ['["error",7]'],
  'a level of the log that is none': ['["log","child",{},"x"]'],
  'names that are none': ['["forget",{"0":"hostile:any"}]', '["forget",["near:tick"]]'],
  'a value provided that is not its own': ['["provide","near:tick"]'],
  'a failure that is no text': ['["fail",{"toString":1}]'],
}

void t.test('a process that says on its channel what it may not is ended, and comes back', async (t) => {
  const siege = await Siege.start(t)
  for (const [what, [first = '', second]] of Object.entries(lies)) {
    await t.test(what, (t) => siege.breaks(t, 'say', { lines: [first] }, /^Its process was ended: /))
    if (second) await t.test(`${what}, again`, (t) => siege.breaks(t, 'say', { lines: [second] }, /^Its process was ended: /))
  }
  const endless = { head: '', unit: 'x'.repeat(1000), times: 6000, tail: '' }
  await t.test('a line without end', (t) => siege.breaks(t, 'sayLong', endless, /a message has more than|a line is no message/))
  const names = { head: '["forget",[', unit: '"hostile:any",', times: 250_000, tail: '"near:tick"]]' }
  await t.test('very many names', (t) => siege.breaks(t, 'sayLong', names, /^Its process was ended: /))
  // It has a second to end by itself.
  await t.test('nothing any more', (t) => siege.breaks(t, 'closeChannel', {}, /exit code 0|closed its channel/))
  await t.test('nothing any more, and stays', (t) =>
    siege.breaks(t, 'closeChannelAndStay', {}, /closed its channel and was ended/),
  )
  await siege.withstood(t)
})

void t.test('what it says that may be so has no effect beyond itself', async (t) => {
  const siege = await Siege.start(t)
  const heard: Heard[] = []
  siege.listener.socket.onAny((event: string, value: Heard) => event !== 'hostile:tick' && heard.push([event, value]))
  await siege.bears(t, async () => {
    t.match(await siege.do('answerAll'), { success: true, forged: /\d+/ }, 'its own command was answered, once')
    const lines = [
      '["answer",-1,false,{}]',
      '["answer",{"toString":1},true]',
      '["threw",999999,7]',
      '["resume","x","y"]',
      '["suspend",1,1,1e9]',
      '["started"]',
      '["beat",{"__proto__":1}]',
      '["log","error",{"__proto__":{"polluted":true},"password":"x"},"a\\nb"]',
      '["publish","/","hostile:any",null,{"__proto__":{"polluted":true}}]',
    ]
    t.match(await siege.do('say', { lines }), { success: true })
  })
  t.equal(Reflect.get({}, 'polluted'), undefined)
  t.same(
    heard.map(([event]) => event),
    ['hostile:any'],
  )
  await siege.withstood(t)
})

void t.test('garbage that it publishes or answers is refused where it is, or told as it would be', async (t) => {
  const siege = await Siege.start(t)
  const heard: string[] = []
  siege.listener.socket.onAny((event: string) => event !== 'hostile:tick' && heard.push(event))
  await siege.bears(t, async () => {
    for (const name of ['cycle', 'bigint', 'large', 'throwing'])
      t.match(await siege.do('publishGarbage', { name }), { success: true, threw: true }, `publish ${name}`)
    for (const event of ['near:tick', 'hostile:none', '__proto__', 'error', 'auth:success'])
      t.match(await siege.do('publishGarbage', { name: 'nan', event }), { threw: true, message: /has no event/ }, event)
    t.match(await siege.do('publishGarbage', { name: 'nan', event: 'hostile:any', target: { client: 'x' } }), { threw: true })
    t.match(await siege.do('publishGarbage', { name: 'nan', event: 'hostile:tick' }), { threw: true, message: /does not fit/ })
    for (const name of ['function', 'cycle', 'bigint', 'large', 'throwing', 'nan', 'symbol'])
      t.match(await siege.do('answerGarbage', { name }), { success: false, code: 'INTERNAL' }, `answer ${name}`)
    t.match(await siege.do('answerGarbage', { name: 'polluting' }), { success: true })
  })
  t.notOk(heard.includes('near:tick') || heard.includes('auth:success'))
  await siege.withstood(t)
})

void t.test('commands whose clock it stops are bounded in number, and answered when it ends', async (t) => {
  const siege = await Siege.start(t)
  const codes: string[] = []
  const ask = async () => {
    const { code } = await siege.attacker.socket.timeout(60_000).emitWithAck('hostile:do', { what: 'suspendForever' })
    codes.push(code)
  }
  const waiting = Array.from({ length: 30 }, ask)
  await until(() => codes.length === 14, `${codes} were answered`, 20_000)
  t.same([...new Set(codes)], ['RATE_LIMITED'], '16 may wait')
  await siege.forgiven()
  await Promise.all(waiting)
  t.same(codes.slice(14), Array(16).fill('MODULE_UNAVAILABLE'))
  await siege.withstood(t)
})
