import { randomUUID } from 'node:crypto'
import t from 'tap'
import { processesWith, Siege, until } from './lab.ts'

t.setTimeout(240_000)

void t.test('however its process ends, it comes back, and says how it ended', async (t) => {
  const siege = await Siege.start(t)
  await t.test('exit 0', (t) => siege.breaks(t, 'exit', { code: 0 }, /^Its process ended with exit code 0\.$/))
  await t.test('exit 1', (t) => siege.breaks(t, 'exit', { code: 1 }, /^Its process ended with exit code 1\.$/))
  await t.test('exit in a handler', (t) => siege.breaks(t, 'exitInHandler', { code: 70 }, /exit code 70/))
  await t.test('abort', (t) => siege.breaks(t, 'abort', {}, /ended by SIGABRT/))
  for (const signal of ['SIGSEGV', 'SIGKILL', 'SIGTERM', 'SIGUSR2'])
    await t.test(signal, (t) => siege.breaks(t, 'signalItself', { signal }, new RegExp(`ended by ${signal}`)))
  await siege.withstood(t)
})

void t.test('after five ends in five minutes it is quarantined, until an owner lets it out', async (t) => {
  const siege = await Siege.start(t, { pace: { retryMs: 10 } })
  await siege.configure({ settings: { onStart: 'exit', args: { code: 3 } } })
  await until(() => siege.changes.at(-1)?.state === 'quarantined', 'it is not quarantined', 60_000)
  t.match(siege.changes.at(-1)?.reason, /^It failed five times in five minutes\. Last: Its process ended with exit code 3/)
  const from = siege.changes.length
  t.match(await siege.owner.ask('host:release', { id: 'hostile' }), { success: true })
  await until(() => siege.changes.slice(from).some(({ state }) => state === 'failed'), 'it is not tried again', 60_000)
  await siege.configure({})
  await siege.flows()
  await siege.withstood(t)
})

void t.test('the programs that it started end with it, what they do against that', async (t) => {
  // Where Node.js has permissions, programs are started only by whoever was granted one.
  const siege = await Siege.start(t, { contract: { capabilities: { exec: ['sh'] } } })
  const token = randomUUID()
  const { pids } = await siege.do('leaveChildren', { token })
  t.equal((pids as unknown[]).length, 3)
  t.equal((await processesWith(token)).length, 3)
  await siege.breaks(t, 'exit', { code: 1 }, /exit code 1/)
  t.same(await processesWith(token), [])

  await siege.do('keepForking', { token })
  t.ok((await processesWith(token)).length > 0)
  await siege.breaks(t, 'signalItself', { signal: 'SIGKILL' }, /SIGKILL/)
  t.same(await processesWith(token), [])

  await siege.do('leaveChildren', { token })
  await siege.owner.ask('host:disable', { id: 'hostile' })
  t.same(await processesWith(token), [], 'also when it is switched off')
  await siege.withstood(t)
})

void t.test('a program that bears nothing to know it by is not found: that takes a unit of its own', async (t) => {
  const siege = await Siege.start(t, { contract: { capabilities: { exec: ['sh'] } } })
  const token = randomUUID()
  t.teardown(async () => {
    for (const pid of await processesWith(token)) process.kill(pid, 'SIGKILL')
  })
  await siege.do('leaveHidden', { token })
  await siege.breaks(t, 'exit', { code: 1 }, /exit code 1/)
  t.equal((await processesWith(token)).length, 1)
  await siege.withstood(t)
})
