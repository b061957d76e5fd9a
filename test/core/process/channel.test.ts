import { Duplex, PassThrough } from 'node:stream'
import t from 'tap'
import { Channel, type Message } from '../../../core/process/channel.ts'
import { until } from '../wire/lab.ts'

/** A channel to an end that reads only when it is told to, and what comes out of both. */
function setUp(highWaterMark = 64) {
  const [inward, outward] = [new PassThrough(), new PassThrough({ highWaterMark })]
  const heard: Message[] = []
  const broken: string[] = []
  const leftOut: number[] = []
  const channel = new Channel(Duplex.from({ readable: inward, writable: outward }), {
    onMessage: (message) => void heard.push(message),
    onBroken: (reason) => void broken.push(reason),
    onLeftOut: (count) => void leftOut.push(count),
  })
  const read = async () => {
    let text = ''
    outward.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    await until(() => channel.waiting === 0 && text.endsWith('\n'))
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Message)
  }
  return { channel, inward, heard, broken, leftOut, read }
}

/** Sends until the other end's buffers are full and something waits. */
function fill(channel: Channel): number {
  let sent = 0
  while (channel.waiting === 0) channel.send(['fill', sent++])
  return sent
}

void t.test('messages arrive whole and in order, however they are cut', async (t) => {
  const { inward, heard, broken } = setUp()
  for (const part of ['["one",1]\n["tw', 'o"', ',{"ä":"\\n"}]\n']) inward.write(part)
  await until(() => heard.length === 2)
  t.same(heard, [
    ['one', 1],
    ['two', { ä: '\n' }],
  ])
  t.same(broken, [])
})

for (const line of ['{', '{}', '[]', '[1]', 'null'])
  void t.test(`a line that is no message breaks it: ${line}`, async (t) => {
    const { inward, heard, broken } = setUp()
    inward.write(`${line}\n`)
    await until(() => broken.length > 0)
    t.same(broken, ['a line is no message'])
    t.same(heard, [])
  })

void t.test('a message that is too long breaks it, from either end', async (t) => {
  const { channel, inward, broken } = setUp()
  t.throws(() => channel.send(['x', 'x'.repeat(4 * 1024 * 1024)]), RangeError)
  inward.write(Buffer.alloc(4 * 1024 * 1024 + 2, 'x'))
  await until(() => broken.length > 0)
  t.same(broken, ['a message has more than 4194304 characters'])
})

void t.test('while the other end does not read, the latest with a key stays, and some may be left out', async (t) => {
  const { channel, broken, leftOut, read } = setUp()
  const sent = fill(channel)
  for (const n of [1, 2, 3]) channel.send(['level', n], { key: 'level' })
  channel.send(['gone'], { key: 'gone' })
  channel.unsend('gone')
  channel.unsend('never sent')
  channel.send(['must arrive'])
  for (let n = 0; n < 1100; n++) channel.send(['maybe', n], { isOptional: true })
  t.equal(channel.waiting, 1000)
  const heard = await read()
  t.same(
    heard.filter(([kind]) => kind !== 'maybe'),
    [...Array.from({ length: sent }, (_, n) => ['fill', n]), ['level', 3], ['must arrive']],
  )
  t.same(
    heard.filter(([kind]) => kind === 'maybe').map(([, n]) => n),
    Array.from({ length: 997 }, (_, n) => n),
  )
  t.same(leftOut, [103])
  t.same(broken, [])
})

void t.test('what waits is bounded: an end that never reads breaks it', (t) => {
  const { channel, broken } = setUp()
  fill(channel)
  const big = 'x'.repeat(1024 * 1024)
  for (let n = 0; n < 15; n++) channel.send(['big', big])
  t.same(broken, [])
  channel.send(['big', big])
  t.same(broken, ['the other end does not read'])
  t.end()
})

void t.test('who writes more than can be dealt with waits, and nothing of it is lost', async (t) => {
  const inward = new PassThrough({ highWaterMark: 64 })
  let heard = 0
  new Channel(Duplex.from({ readable: inward, writable: new PassThrough() }), {
    onMessage: () => {
      heard++
      for (const end = performance.now() + 3; performance.now() < end; );
    },
    onBroken: (reason) => t.fail(reason),
  })
  inward.write('["a"]\n'.repeat(12))
  await until(() => heard > 0)
  t.ok(heard < 12, 'the others had their turn')
  await until(() => heard === 12)
})
