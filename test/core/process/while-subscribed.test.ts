import fc from 'fast-check'
import t from 'tap'
import { WhileSubscribed } from '../../../core/process/while-subscribed.ts'

const turn = () => new Promise(setImmediate)

void t.test('starts with the first and ends with the last; starting twice is starting once', async (t) => {
  const told: string[] = []
  const work = new WhileSubscribed(
    (scope) => {
      told.push('begin')
      scope.own(() => told.push('owned'))
      return () => told.push('returned')
    },
    t.error,
    () => told.push('end'),
  )
  work.start()
  work.start()
  await turn()
  t.same(told, ['begin'])
  await work.stop()
  t.same(told, ['begin', 'returned', 'owned', 'end'])
  await work.stop()
  t.equal(told.length, 4, 'stopped already')
  work.start()
  await work.stop()
  t.equal(told.length, 4, 'nobody stayed long enough')
})

void t.test('work that is told to stop while it begins is ended, and what it then throws is not told', async (t) => {
  const told: string[] = []
  const work = new WhileSubscribed(
    async (scope) => {
      told.push('begin')
      await new Promise((resolve) => scope.signal.addEventListener('abort', resolve))
      if (told.length > 1) throw scope.signal.reason
      return () => told.push('released')
    },
    t.error,
    () => told.push('end'),
  )
  work.start()
  await turn()
  await work.stop()
  t.same(told, ['begin', 'released', 'end'])
  work.start()
  await turn()
  await work.stop()
  t.same(told.slice(3), ['begin', 'end'])
})

void t.test('work that throws releases what it owned, is told, and runs again for the next subscriber', async (t) => {
  const told: string[] = []
  const work = new WhileSubscribed(
    (scope) => {
      scope.own(() => told.push('released'))
      told.push('begin')
      if (told.length === 1) throw new Error('no device')
    },
    (error) => told.push((error as Error).message),
    () => told.push('end'),
  )
  work.start()
  await turn()
  t.same(told, ['begin', 'no device', 'released', 'end'])
  work.start()
  await turn()
  t.equal(told.at(-1), 'begin')
})

void t.test('however people come and go, runs never overlap and the last wish is what holds', async (t) => {
  const coming = fc.array(fc.record({ come: fc.boolean(), pauses: fc.nat(3) }), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(coming, fc.nat(2), fc.nat(2), async (steps, beginPauses, endPauses) => {
      const wait = async (pauses: number) => {
        for (let i = 0; i < pauses; i++) await turn()
      }
      let running = 0
      const work = new WhileSubscribed(
        async (scope) => {
          if (++running > 1) throw new Error('two at once')
          scope.own(() => wait(endPauses))
          await wait(beginPauses)
        },
        (error) => {
          throw error
        },
        () => running--,
      )
      let wanted = false
      for (const { come, pauses } of steps) {
        wanted = come
        if (come) work.start()
        else void work.stop()
        await wait(pauses)
      }
      await wait(10)
      if (running !== Number(wanted)) return false
      await work.stop()
      return running === 0
    }),
    { numRuns: 150 },
  )
  t.pass('150 storms')
})
