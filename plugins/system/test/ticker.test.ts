import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { startTicker } from '../driver/ticker.ts'

/** Time that moves when told. */
function stopTime(t: Test) {
  let now = 0
  let pending: { at: number; run: () => void } | undefined
  t.intercept(performance, 'now', { value: () => now })
  t.intercept(globalThis, 'setTimeout', {
    value: (run: () => void, delay: number) => {
      const timer = { at: now + delay, run, unref: () => timer }
      pending = timer
      return timer
    },
  })
  t.intercept(globalThis, 'clearTimeout', {
    value: (timer: unknown) => {
      if (timer === pending) pending = undefined
    },
  })
  return {
    /** When the next tick is due. */
    due: () => pending?.at,
    /** Goes to the due time, `late` milliseconds more, and runs the tick. */
    async next(late = 0) {
      const timer = pending
      pending = undefined
      now = (timer?.at ?? now) + late
      timer?.run()
      await new Promise(setImmediate)
    },
    pass(ms: number) {
      now += ms
    },
  }
}

const fail = (error: unknown) => {
  throw error
}

void t.test('ticks stay on the grid however late they run', async (t) => {
  const time = stopTime(t)
  t.teardown(startTicker({ firstMs: 200, intervalMs: 2000 }, () => {}, fail))
  t.equal(time.due(), 200)
  await time.next(3)
  t.equal(time.due(), 2200)
  await time.next(900)
  t.equal(time.due(), 4200)
})

void t.test('ticks that pass while work is unfinished are left out', async (t) => {
  const time = stopTime(t)
  let finish = () => {}
  const work = () => new Promise<void>((resolve) => (finish = resolve))
  t.teardown(startTicker({ firstMs: 0, intervalMs: 2000 }, work, fail))
  await time.next()
  t.equal(time.due(), undefined)
  time.pass(5000)
  finish()
  await new Promise(setImmediate)
  t.equal(time.due(), 6000)
})

void t.test('work that throws is reported and goes on', async (t) => {
  const time = stopTime(t)
  const errors: unknown[] = []
  const work = () => Promise.reject(new Error('no'))
  t.teardown(startTicker({ firstMs: 0, intervalMs: 10 }, work, (error) => errors.push(error)))
  await time.next()
  await time.next()
  t.match(errors, [{ message: 'no' }, { message: 'no' }])
})

void t.test('once stopped nothing runs, also when work was under way', async (t) => {
  const time = stopTime(t)
  startTicker({ firstMs: 0, intervalMs: 10 }, () => {}, fail)()
  t.equal(time.due(), undefined)
  let finish = () => {}
  const stop = startTicker({ firstMs: 0, intervalMs: 10 }, () => new Promise<void>((resolve) => (finish = resolve)), fail)
  await time.next()
  stop()
  finish()
  await new Promise(setImmediate)
  t.equal(time.due(), undefined)
})

void t.test('it does not keep the process alive', (t) => {
  const ticker = new URL('../driver/ticker.ts', import.meta.url)
  const script = `import { startTicker } from ${JSON.stringify(ticker.href)}; startTicker({ firstMs: 0, intervalMs: 60000 }, () => {}, () => {})`
  const { status } = spawnSync(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], { timeout: 20_000 })
  t.equal(status, 0)
  t.end()
})
