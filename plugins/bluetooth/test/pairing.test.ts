import t from 'tap'
import { Bluez } from '../driver/bluez.ts'
import { Dialogue, type Question } from '../driver/dialogue.ts'
import { Failure } from '../driver/failure.ts'
import type { Device } from '../driver/objects.ts'
import { Pairing } from '../driver/pairing.ts'

const limits = { dialogue: 60, radio: 150, grace: 20, services: 20 }
const device = '/org/bluez/hci0/dev_1'

/** A pairing with a BlueZ that answers as the test says, or never. */
function pairing(answers: Record<string, () => Promise<unknown[]>>, look: Partial<Device> = {}) {
  const asked: string[] = []
  const questions: Question[] = []
  const call = async ({ method, args = [] }: { method: string; args?: readonly unknown[] }) => {
    const what = method === 'Set' ? `${String(args[1])}=${String((args[2] as unknown[])[1])}` : method
    asked.push(what)
    return answers[what]?.() ?? []
  }
  const leaving = new AbortController()
  let suspended = 0
  const suspend = () => {
    suspended++
    return () => void suspended--
  }
  const person = { user: 'me', tell: (question: Question) => void questions.push(question) }
  const request = { adapter: '/org/bluez/hci0', device, pin: undefined, person, signal: leaving.signal, suspend }
  const one = new Pairing(new Bluez(call), request, () => ({ servicesResolved: true, ...look }) as Device, limits)
  return { one, asked, questions, leaving, suspended: () => suspended }
}
const never = () => new Promise<never>(() => undefined)
const later = (ms: number) => async () => {
  await new Promise((resolve) => setTimeout(resolve, ms))
  return []
}

void t.test('a device that says nothing is given up, also if BlueZ says nothing either', async (t) => {
  const { one, asked } = pairing({ Pair: never, CancelPairing: never })
  await t.rejects(one.run(), { code: 'BT_UNREACHABLE' })
  t.same(asked, ['Pair', 'CancelPairing'])
  const connected = pairing({ Pair: never }, { connected: true })
  await t.rejects(connected.one.run(), { code: 'BT_AUTH_TIMEOUT' })
})

void t.test('what is paired after it was given up is undone', async (t) => {
  let isRemoved = () => {}
  const removed = new Promise<void>((resolve) => (isRemoved = resolve))
  const RemoveDevice = async () => {
    isRemoved()
    return []
  }
  const { one, asked } = pairing({ Pair: later(400), CancelPairing: never, RemoveDevice })
  await t.rejects(one.run(), { code: 'BT_UNREACHABLE' })
  await removed
  t.notOk(asked.includes('Trusted=true'))
})

void t.test('nobody waits any more: it is cancelled, before it began too', async (t) => {
  const { one, leaving, asked } = pairing({ Pair: later(20) })
  const run = one.run()
  leaving.abort()
  await t.rejects(run, { code: 'BT_AUTH_CANCELED' })
  t.same(asked, ['Pair', 'CancelPairing', 'RemoveDevice'])
  const late = pairing({ Pair: later(5) })
  late.leaving.abort()
  await t.rejects(late.one.run(), { code: 'BT_AUTH_CANCELED' })
})

void t.test('a person who says nothing ends it, and the deadline has stood still meanwhile', async (t) => {
  const { one, questions, asked, suspended } = pairing({}, { canType: true })
  const run = one.run()
  while (questions.length === 0) await later(1)()
  t.equal(suspended(), 1)
  t.ok((questions[0]?.expiresInMs ?? 0) > 0)
  await t.rejects(run, { code: 'BT_NO_ANSWER' })
  t.equal(suspended(), 0)
  t.same(asked, ['Pair', 'Blocked=true', 'CancelPairing', 'RemoveDevice'])
})

void t.test('a keyboard that cannot be blocked while the person is asked is not kept', async (t) => {
  const failed = async () => Promise.reject(Object.assign(new Error('no'), { dbusName: 'org.bluez.Error.Failed' }))
  const { one, asked } = pairing({ 'Blocked=true': failed }, { canType: true })
  await t.rejects(one.run(), { code: 'BT_FAILED' })
  t.same(asked, ['Pair', 'Blocked=true', 'RemoveDevice'])
})

void t.test('a device that does not say what services it has is waited for, a while', async (t) => {
  const { one, asked } = pairing({}, { servicesResolved: false })
  await one.run()
  t.same(asked, ['Pair', 'Trusted=true'])
})

void t.test('all questions share one time, and when that is over nothing more is asked', async (t) => {
  const told: Question[] = []
  let failed = 0
  const dialogue = new Dialogue(
    { user: 'me', tell: (question) => void told.push(question) },
    { pin: undefined, maxMs: 50, onWait: () => undefined, onFailure: () => failed++ },
  )
  const first = dialogue.compare('1')
  t.ok(dialogue.answer(told[0]?.id ?? '', { accept: true }))
  await first
  await t.rejects(dialogue.code(false), { code: 'BT_NO_ANSWER' })
  t.equal(failed, 1)
  await t.rejects(dialogue.compare('2'), { code: 'BT_AUTH_CANCELED' })
  t.equal(told.length, 2)
  const other = new Dialogue(
    { user: 'me', tell: () => undefined },
    { pin: undefined, maxMs: 30, onWait: () => undefined, onFailure: () => failed++ },
  )
  other.show('1', 0)
  other.cancel()
  await later(60)()
  t.match(other.failure, new Failure('BT_NO_ANSWER'), 'also between two questions')
  t.equal(failed, 2)
  dialogue.end()
  other.end()
})
