import t from 'tap'
import { Siege } from './lab.ts'

/** Things to throw, as `plugin/throwing.js` names them. */
const things = ['error', 'undefined', 'null', 'number', 'symbol', 'proxy', 'unprintable', 'posing', 'long', 'details']

t.setTimeout(240_000)

void t.test('what a handler throws, whatever it is, is the answer to its command and nothing else', async (t) => {
  const siege = await Siege.start(t)
  await siege.bears(t, async () => {
    for (const what of ['throwInHandler', 'rejectInHandler'])
      for (const name of things) {
        const answer = await siege.do(what, { name })
        t.match(answer, { success: false, code: /^(INTERNAL|HOSTILE_REFUSED)$/ }, `${what} ${name}`)
        t.ok(JSON.stringify(answer).length < 1000, name)
        t.notMatch(JSON.stringify(answer), /thrown by|not mine|xxx/, 'what was thrown stays in the log')
      }
    for (const name of things) t.match(await siege.do('throwAfterAck', { name }), { success: true }, name)
  })
  await siege.withstood(t)
})

void t.test('what is thrown where nobody catches it ends the process, and it comes back', async (t) => {
  const siege = await Siege.start(t)
  for (const [index, name] of things.entries()) {
    const [how, what] = index % 2 ? ['a promise', 'rejectUnhandled'] : ['a timer', 'throwLater']
    await t.test(`in ${how}: ${name}`, (t) => siege.breaks(t, what, { name }, /nobody caught|its process ended/i))
  }
  await t.test('as an error event', (t) => siege.breaks(t, 'emitErrorUnheard', {}, /nobody caught.*thrown by/))
  await t.test('with its listeners taken off', (t) =>
    siege.breaks(t, 'throwWithoutListeners', {}, /process ended with exit code/),
  )
  await t.test('after it broke what everything rests on', (t) => siege.breaks(t, 'breakGlobals', {}, /process|nobody caught/))
  await siege.withstood(t)
})
