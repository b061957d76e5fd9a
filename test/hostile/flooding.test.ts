import t from 'tap'
import { Siege, until } from './lab.ts'

t.setTimeout(240_000)

const seconds = (n: number) => new Promise((resolve) => setTimeout(resolve, n * 1000))

void t.test('a flood of events reaches whom it may, and the neighbours’ clients feel nothing', async (t) => {
  const siege = await Siege.start(t)
  let heard = 0
  const values: number[] = []
  siege.listener.socket.on('hostile:any', () => heard++)
  siege.listener.socket.on('hostile:value', ({ n }: { n: number }) => values.push(n))
  await t.test('100,000 a second', (t) =>
    siege.bears(t, async () => {
      await siege.do('publishOften', { event: 'hostile:any', count: 300_000, perTurn: 10_000 })
      await until(() => heard > 1000, `${heard} of them arrive`, 30_000)
      await seconds(2)
      await siege.do('endFloods')
    }),
  )
  await t.test('values of which the last one counts', (t) =>
    siege.bears(t, async () => {
      const count = 20_000
      await siege.do('publishOften', { event: 'hostile:value', count, perTurn: 1000, bytes: 2000 })
      await until(() => values.at(-1) === count - 1, `the last value does not arrive, but ${values.at(-1)}`, 60_000)
      t.same(
        values,
        [...values].sort((a, b) => a - b),
        'in order',
      )
    }),
  )
  await t.test('failures', (t) =>
    siege.bears(t, async () => {
      await siege.do('failOften', { count: 100_000 })
      await seconds(2)
      await siege.do('endFloods')
    }),
  )
  await siege.withstood(t)
})

void t.test('a million lines: some are written, and how many were not', async (t) => {
  const siege = await Siege.start(t)
  for (const [what, args] of [
    ['logOften', {}],
    ['consoleOften', {}],
    ['writeOften', { fd: 1 }],
    ['writeOften', { fd: 2 }],
  ] as const)
    await t.test(`${what} ${JSON.stringify(args)}`, (t) =>
      siege.bears(t, async () => {
        const before = siege.host.log.length
        await siege.do(what, { count: 1_000_000, ...args })
        await seconds(2.5)
        await siege.do('endFloods')
        const lines = siege.host.log.slice(before)
        t.ok(lines.length > 100 && lines.length < 2000, `${lines.length} lines`)
        t.ok(
          lines.some((line) => /"leftOut":\d+/.test(line)),
          'and one that says how many were left out',
        )
      }),
    )
  await siege.bears(t, async () => {
    await siege.do('writeEndless', { fd: 1, mb: 50 })
    await siege.do('writeEndless', { fd: 2, mb: 50 })
    await siege.do('logGarbage')
    await seconds(2)
    await siege.do('endFloods')
  })
  t.ok(
    siege.host.log.every((line) => line.length < 9000 && line.indexOf('\n') === line.length - 1),
    'each is a line, and a bounded one',
  )
  await siege.withstood(t)
})
