import t, { type Test } from 'tap'
import { Simulated } from '../../../test/support/simulated.ts'

// At the pace of the real thing, side by side.
t.setTimeout(180_000)
t.jobs = 4

interface Device {
  readonly name: string
  readonly mac: string
  readonly paired: boolean
  readonly connected: boolean
}
interface Question {
  readonly id: string
  readonly kind: string
  readonly number?: string
  readonly entered?: number
}

/** A module whose devices have all been found. */
async function start(t: Test) {
  const bluetooth = await Simulated.start(t, 'bluetooth', 'bluetooth:devices', 'bluetooth:status')
  const { client } = bluetooth
  t.match(await client.ask('bluetooth:scan'), { success: true })
  const devices = await bluetooth.until<Device[]>('bluetooth:devices', ({ length }) => length === 5)
  const find = (name: string) => devices.find((device) => device.name.includes(name))?.mac
  const device = (mac: string | undefined) => bluetooth.latest<Device[]>('bluetooth:devices').find((one) => one.mac === mac)
  return { bluetooth, client, find, device }
}

void t.test('devices are heard one after the other, and each is called simulated', { buffered: true }, async (t) => {
  const { bluetooth, client } = await start(t)
  const devices = bluetooth.latest<Device[]>('bluetooth:devices')
  t.ok(devices.every(({ name }) => name.startsWith('Simulated')))
  t.match(bluetooth.latest('bluetooth:status'), { discovering: true, adapter: { name: 'SIMULATED adapter' } })
  t.same(await client.ask('bluetooth:stop_scan'), { success: true })
  t.match(bluetooth.latest('bluetooth:status'), { discovering: false })
})

void t.test(
  'pairing takes a while and asks: to compare a number, for the code of a lock, to type on a keyboard',
  { buffered: true },
  async (t) => {
    const { client, find, device } = await start(t)
    const phone = find('Simulated phone')
    const pairing = client.ask('bluetooth:pair', { mac: phone })
    const { id, ...asked } = await client.next<Question>('bluetooth:pairing')
    t.match(asked, { kind: 'compare', number: '271828' })
    t.same(await client.ask('bluetooth:pairing_answer', { id, accept: true }), { success: true })
    t.same(await pairing, { success: true })
    t.match(device(phone), { paired: true, trusted: true })

    const lock = find('lock')
    t.match(await client.ask('bluetooth:pair', { mac: lock, pin: '1' }), { code: 'BT_AUTH_FAILED' })
    t.same(await client.ask('bluetooth:pair', { mac: lock, pin: '314159' }), { success: true })

    const keyboard = find('keyboard')
    const typed = client.next<Question>('bluetooth:pairing', ({ entered }) => entered === 6)
    t.same(await client.ask('bluetooth:pair', { mac: keyboard }), { success: true })
    t.match(await typed, { kind: 'show', number: '161803' })
    t.match(device(keyboard), { paired: true })
  },
)

void t.test('what a person declines is not paired, and what does not answer is told', { buffered: true }, async (t) => {
  const { client, find, device } = await start(t)
  const declined = client.ask('bluetooth:pair', { mac: find('Simulated phone') })
  const { id } = await client.next<Question>('bluetooth:pairing')
  await client.ask('bluetooth:pairing_answer', { id, accept: false })
  t.match(await declined, { code: 'BT_DECLINED' })
  t.match(device(find('Simulated phone')), { paired: false })

  const speaker = find('speaker')
  t.same(await client.ask('bluetooth:pair', { mac: speaker }), { success: true })
  t.match(await client.ask('bluetooth:connect', { mac: speaker }), { code: 'BT_UNREACHABLE' })
  t.same(await client.ask('bluetooth:connect', { mac: speaker }), { success: true })
  t.match(device(speaker), { connected: true })
  t.same(await client.ask('bluetooth:power', { on: false }), { success: true })
  t.match(device(speaker), { connected: false })
  t.match(await client.ask('bluetooth:scan'), { code: 'BT_POWERED_OFF' })
})
