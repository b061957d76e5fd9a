import t from 'tap'
import { Scope } from '../../../core/process/scope.ts'

void t.test('what is owned is released last first, each awaited, whatever its kind', async (t) => {
  const told: string[] = []
  const say = (text: string) => async () => {
    await new Promise(setImmediate)
    told.push(text)
  }
  const scope = new Scope(t.error)
  scope.own(say('function'))
  t.equal(typeof scope.own({ close: say('close'), stop: say('never') }).close, 'function', 'own returns the resource')
  scope.own({ stop: say('stop') })
  scope.own({ [Symbol.asyncDispose]: say('dispose') })
  await scope.end()
  t.same(told, ['dispose', 'stop', 'close', 'function'])
})

void t.test('a release that throws is told, and the others run', async (t) => {
  const errors: unknown[] = []
  const scope = new Scope((error) => errors.push(error))
  let released = false
  scope.own(() => {
    released = true
  })
  scope.own(() => {
    throw new Error('no')
  })
  await scope.end()
  t.match(errors, [{ message: 'no' }])
  t.ok(released)
})

void t.test('what arrives after the end is released at once', async (t) => {
  const scope = new Scope(t.error)
  const told: string[] = []
  let arrive: (resource: () => void) => void = () => undefined
  const owned = scope.own(
    new Promise<() => void>((resolve) => {
      arrive = resolve
    }),
  )
  await scope.end()
  scope.own(() => told.push('late'))
  t.same(told, ['late'])
  arrive(() => told.push('later'))
  await owned
  t.same(told, ['late', 'later'])
})

void t.test('a promise that is rejected is not owned, and rejects for whoever awaits it', async (t) => {
  const scope = new Scope(t.error)
  await t.rejects(scope.own(Promise.reject(new Error('no device')) as Promise<() => void>), { message: 'no device' })
  await scope.end()
})

void t.test('the signal comes before the first release, and everybody who ends it waits for the last', async (t) => {
  const scope = new Scope(t.error)
  let released = false
  scope.own(async () => {
    t.ok(scope.signal.aborted)
    await new Promise(setImmediate)
    released = true
  })
  t.notOk(scope.signal.aborted)
  void scope.end()
  t.ok(scope.signal.aborted)
  t.notOk(released)
  await scope.end()
  t.ok(released)
})
