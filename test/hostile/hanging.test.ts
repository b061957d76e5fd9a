import t from 'tap'
import { isAlive, Siege, until } from './lab.ts'

t.setTimeout(400_000)

const silent = /did not answer for \d+ s and was ended/

void t.test('a process that gives no sign of life is ended, whatever holds it up, and comes back', async (t) => {
  const siege = await Siege.start(t, { pace: { silenceMs: 3000 } })
  for (const what of ['loop', 'loopInHandler', 'loopWithTimers', 'loopOfMicrotasks', 'sleepForever', 'backtrack', 'stopItself'])
    await t.test(what, (t) => siege.breaks(t, what, {}, silent))
  await siege.withstood(t)
})

void t.test('a command that it never answers is answered at its deadline, and it runs on', async (t) => {
  const siege = await Siege.start(t)
  await siege.bears(t, async () => {
    const answers = await Promise.all(Array.from({ length: 16 }, () => siege.attacker.ask('hostile:brief')))
    for (const answer of answers) t.match(answer, { success: false, code: 'TIMEOUT' })
  })
  await siege.withstood(t)
})

void t.test(
  'a start that never ends is ended, and after five of them it is quarantined, until it is set otherwise',
  async (t) => {
    const siege = await Siege.start(t, { pace: { startMs: 4000, retryMs: 10 } })
    await siege.configure({ settings: { onStart: 'neverSettle' } })
    await until(() => siege.changes.at(-1)?.state === 'failed', 'it does not fail', 60_000)
    t.match(siege.changes.at(-1)?.reason, /^it did not start within 4 s/)

    await siege.configure({ settings: { onStart: 'loopInHandler' } })
    const from = siege.changes.length
    await until(() => siege.changes.at(-1)?.state === 'quarantined', 'it is not quarantined', 60_000)
    const changes = siege.changes.slice(from)
    t.match(changes.at(-1)?.reason, /^It failed five times in five minutes\. Last: it did not start within 4 s/)
    t.notOk(changes.some(({ state }) => state === 'running'))
    t.match(await siege.do('loop'), { success: false, code: 'MODULE_FAILED' })
    await siege.configure({})
    await siege.flows()
    t.pass('other settings let it out, and its events flow to whom they flowed before')
    await siege.withstood(t)
  },
)

void t.test('a stop that never ends is ended', async (t) => {
  const siege = await Siege.start(t, { pace: { stopMs: 1000 } })
  for (const onStop of ['loopInHandler', 'neverSettle']) {
    await siege.configure({ settings: { onStop } })
    await siege.flows()
    const { pid } = await siege.pids()
    const from = siege.changes.length
    await siege.forgiven()
    t.same(
      siege.changes.slice(from).map(({ state }) => state),
      ['stopping', 'starting', 'running'],
    )
    t.notOk(isAlive(pid), 'its process is gone')
  }
  t.match(await siege.owner.ask('host:disable', { id: 'hostile' }), { state: 'disabled' })
  await siege.withstood(t)
})
