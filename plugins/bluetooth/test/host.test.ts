import t, { type Test } from 'tap'
import { startTestHost, type TestClient } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { Bluez, bluezError, type Manners, pathOf } from './bluez.ts'

interface Device {
  readonly mac: string
  readonly name: string | null
  readonly paired: boolean
  readonly connected: boolean
  readonly trusted: boolean
  readonly blocked: boolean
  readonly battery: number | null
  readonly rssi: number | null
  readonly type: string
}
interface Status {
  readonly powered: boolean
  readonly discoverable: boolean
  readonly discovering: boolean
  readonly connectedDevices: Device[]
}
interface Question {
  readonly id: string
  readonly kind: string
  readonly number?: string
  readonly mac: string
}

const headset = 'AA:00:00:00:00:01'
const keyboard = 'AA:00:00:00:00:02'
const deviceInterface = 'org.bluez.Device1'
const adapterInterface = 'org.bluez.Adapter1'
const isKeyboard = { Class: ['u', 0x2540], Alias: ['s', 'Keys'] } as const

/** A host with the plugin on, on a bus with a BlueZ that has an adapter. */
async function start(t: Test) {
  const bus = await new PrivateBus(t).start()
  const bluez = await new Bluez(bus).start()
  await bluez.addAdapter()
  const host = await startTestHost({ builtins: ['bluetooth'], busAddress: bus.address })
  t.teardown(() => host.stop())
  await host.reached('bluetooth', 'running')
  const client = await host.client('operator')
  const subscribe = async (who = client) => {
    const first = who.next<Status>('bluetooth:status')
    await who.ask('module:subscribe', { module: 'bluetooth' })
    return first
  }
  const devices = (fits: (devices: Device[]) => boolean, who = client) => who.next<Device[]>('bluetooth:devices', fits)
  const status = (fits: (status: Status) => boolean, who = client) => who.next<Status>('bluetooth:status', fits)
  return { bus, bluez, host, client, subscribe, devices, status }
}

const pair = (client: TestClient, mac: string, pin?: string) => client.ask('bluetooth:pair', { mac, ...(pin && { pin }) })
const answer = (client: TestClient, { id }: Question, accept: boolean, pin?: string) =>
  client.ask('bluetooth:pairing_answer', { id, accept, ...(pin && { pin }) })

void t.test('who subscribes is told the status and the devices, and every change of them', async (t) => {
  const { bluez, subscribe, devices, status } = await start(t)
  const path = await bluez.addDevice(headset, { Alias: ['s', '\u202Eheadset'], Class: ['u', 0x240404], RSSI: ['n', -50] })
  const seen = devices((all) => all.length === 1)
  const { connectedDevices, ...first } = await subscribe()
  t.same(first, {
    powered: true,
    discoverable: false,
    discovering: false,
    blocked: 'none',
    adapter: { name: 'testpi', mac: '00:00:00:00:00:00' },
  })
  t.same(connectedDevices, [])
  t.same(await seen, [
    {
      name: 'headset',
      mac: headset,
      rssi: -50,
      paired: false,
      connected: false,
      trusted: false,
      blocked: false,
      battery: null,
      type: 'audio',
      canType: false,
      icon: 'bluetooth',
    },
  ])
  const connected = status((each) => each.connectedDevices.length === 1)
  bluez.set(path, deviceInterface, { Connected: ['b', true], RSSI: undefined })
  t.match((await connected).connectedDevices, [{ mac: headset, rssi: null }])
  const charged = devices(([device]) => device?.battery === 80)
  await bluez.addInterface(path, 'org.bluez.Battery1', { Percentage: ['y', 80] })
  await charged
  const off = status((each) => !each.powered)
  bluez.set('/org/bluez/hci0', adapterInterface, { Powered: ['b', false] })
  await off
  const vanished = devices((all) => all.length === 0)
  bluez.remove(path)
  await vanished
})

void t.test('a room full of devices is told about once a second, and no more than 200 of them', async (t) => {
  const { bluez, client, subscribe, devices } = await start(t)
  await subscribe()
  const heard: number[] = []
  client.socket.on('bluetooth:devices', (all: Device[]) => heard.push(all.length))
  const full = devices((all) => all.length === 200)
  for (let i = 0; i < 400; i++) await bluez.addDevice(`BB:00:00:00:${String(i >> 8).padStart(2, '0')}:${(i & 255).toString(16)}`)
  await full
  t.ok(heard.length <= 4, `told ${heard.length} times`)
  t.ok(heard.every((length) => length <= 200))
})

void t.test('several clients scan, and the scan ends with the last wish, however that ends', async (t) => {
  const { bluez, host, client, subscribe, status } = await start(t)
  await subscribe()
  const second = await host.client('operator')
  const begun = status(({ discovering }) => discovering)
  t.match(await client.ask('bluetooth:scan'), { success: true, endsInMs: 30_000 })
  await begun
  t.match(await second.ask('bluetooth:scan'), { success: true })
  t.match(await second.ask('bluetooth:scan'), { success: true })
  const scans = () => bluez.calls.filter((call) => call.endsWith('Discovery')).map((call) => call.slice(5))
  t.same(scans(), ['StartDiscovery'], 'one for all')
  t.match(await client.ask('bluetooth:stop_scan'), { success: true })
  t.match(await client.ask('bluetooth:stop_scan'), { success: true })
  t.same(scans(), ['StartDiscovery'], 'the other one goes on')
  const over = status(({ discovering }) => !discovering)
  second.socket.close()
  await over
  t.same(scans(), ['StartDiscovery', 'StopDiscovery'])
  t.match(await (await host.client('viewer')).ask('bluetooth:scan'), { code: 'FORBIDDEN' })
  const again = status(({ discovering }) => discovering)
  await client.ask('bluetooth:scan')
  await again
  const { powered } = await (async () => {
    const off = status((each) => !each.powered && !each.discovering)
    t.match(await client.ask('bluetooth:power', { on: false }), { success: true })
    return off
  })()
  t.equal(powered, false)
  t.match(await client.ask('bluetooth:scan'), { code: 'BT_POWERED_OFF' })
  t.match(await client.ask('bluetooth:power', { on: true }), { success: true })
  t.match(await client.ask('bluetooth:scan'), { success: true }, 'BlueZ had ended it, and begins anew')
  await host.stop()
  await bluez.until(() => bluez.discoverers.size === 0)
  t.equal(bluez.agent, undefined)
})

void t.test('a scan that BlueZ does not end is no success, and can be ended later', async (t) => {
  const { bluez, client } = await start(t)
  t.match(await client.ask('bluetooth:scan'), { success: true })
  bluez.stopError = 'Input/output error'
  t.match(await client.ask('bluetooth:stop_scan'), { success: false, code: 'BT_FAILED', error: /Input\/output error/ })
  bluez.stopError = ''
  t.match(await client.ask('bluetooth:scan'), { success: true })
  t.match(await client.ask('bluetooth:stop_scan'), { success: true })
  t.equal(bluez.discoverers.size, 0)
})

/** A device that pairs in this way, and what the client hears and is answered. */
async function pairing(t: Test, mac: string, more: Parameters<Bluez['addDevice']>[1], manners: Manners, pin?: string) {
  const lab = await start(t)
  await lab.bluez.addDevice(mac, more, manners)
  await lab.bluez.heard()
  await lab.subscribe()
  const questions: Question[] = []
  const waiting: Array<(question: Question) => void> = []
  lab.client.socket.on('bluetooth:pairing', (question: Question) => {
    questions.push(question)
    for (const wake of waiting.splice(0)) wake(question)
  })
  const bystander = await lab.host.client('operator')
  await bystander.ask('module:subscribe', { module: 'bluetooth' })
  bystander.socket.on('bluetooth:pairing', () => t.fail('the question went to somebody else'))
  const asked = () => new Promise<Question>((resolve) => waiting.push(resolve))
  const question = asked()
  const outcome = pair(lab.client, mac, pin)
  const look = (name: string) => lab.bluez.get(pathOf(mac), deviceInterface, name)
  return { ...lab, bystander, questions, question, asked, outcome, look }
}

void t.test('a device without numbers is paired, trusted and shown so before the answer', async (t) => {
  const { client, bluez, outcome, questions } = await pairing(t, headset, { Class: ['u', 0x240404] }, {})
  const shown: Device[][] = []
  client.socket.on('bluetooth:devices', (all: Device[]) => shown.push(all))
  t.match(await outcome, { success: true })
  t.match(shown.at(-1), [{ mac: headset, paired: true, trusted: true }])
  t.same(questions, [])
  t.match(bluez.agent, { path: '/org/patchbay/bluetooth/agent', capability: 'KeyboardDisplay' })
  t.ok(bluez.calls.includes('RequestDefaultAgent'))
  t.match(await pair(client, headset), { success: true }, 'it is so already')
  t.match(await client.ask('bluetooth:trust', { mac: headset, trusted: false }), { success: true })
  t.match(await client.ask('bluetooth:unpair', { mac: headset }), { success: true })
  t.same(shown.at(-1), [])
  t.match(await client.ask('bluetooth:unpair', { mac: headset }), { code: 'BT_DEVICE_NOT_FOUND' })
})

void t.test('a given PIN answers BlueZ once, for old devices and new', async (t) => {
  const given: unknown[] = []
  const old = await pairing(
    t,
    headset,
    {},
    { pair: async (bluez, path) => given.push(await bluez.ask('RequestPinCode', 'o', path)) },
    'a0!',
  )
  t.match(await old.outcome, { success: true })
  const digits = async (bluez: Bluez, path: string) => given.push(await bluez.ask('RequestPasskey', 'o', path))
  const now = await pairing(t, headset, {}, { pair: digits }, '001234')
  t.match(await now.outcome, { success: true })
  t.same(given, ['a0!', 1234])
})

void t.test('a code that was not given is asked of the person who pairs, and of nobody else', async (t) => {
  let given: unknown
  const manners = { pair: async (bluez: Bluez, path: string) => (given = await bluez.ask('RequestPasskey', 'o', path)) }
  const { client, bystander, question, outcome } = await pairing(t, keyboard, isKeyboard, manners, 'no digits')
  const asked = await question
  t.match(asked, { kind: 'enter', digits: true, mac: keyboard, name: 'Keys' })
  t.match(await answer(bystander, asked, true, '1'), { code: 'BT_NO_QUESTION' })
  t.match(await answer(client, { ...asked, id: 'other' }, true, '1'), { code: 'BT_NO_QUESTION' })
  t.match(await answer(client, asked, true, 'letters'), { code: 'INVALID_PAYLOAD', error: /1 to 6 digits/ })
  t.match(await answer(client, asked, true), { code: 'INVALID_PAYLOAD' })
  t.match(await answer(client, asked, true, '000042'), { success: true })
  t.match(await outcome, { success: true })
  t.equal(given, 42)
  t.match(await answer(client, asked, true, '000042'), { code: 'BT_NO_QUESTION' })
})

void t.test('a number is compared: yes pairs, no does not and is said to be so', async (t) => {
  const manners = { pair: (bluez: Bluez, path: string) => bluez.ask('RequestConfirmation', 'ou', path, 4711) }
  const yes = await pairing(t, keyboard, isKeyboard, manners)
  const asked = await yes.question
  t.match(asked, { kind: 'compare', number: '004711' })
  t.match(await pair(yes.bystander, keyboard), { code: 'BT_IN_PROGRESS' })
  await answer(yes.client, asked, true)
  t.match(await yes.outcome, { success: true })
  t.equal(yes.questions.length, 1, 'a keyboard that shows a number is no risk')
  let refusal: unknown
  const refused = (bluez: Bluez, path: string) =>
    bluez.ask('RequestConfirmation', 'ou', path, 4711).catch((error) => {
      refusal = error.dbusName
      throw bluezError('AuthenticationFailed')
    })
  const no = await pairing(t, keyboard, isKeyboard, { pair: refused })
  await answer(no.client, await no.question, false)
  t.match(await no.outcome, { code: 'BT_DECLINED' })
  await no.bluez.until(() => refusal !== undefined)
  t.equal(refusal, 'org.bluez.Error.Rejected')
})

void t.test('a number to type on the device is shown, with each digit, and can only be given up', async (t) => {
  let typed = () => {}
  const done = new Promise<void>((resolve) => (typed = resolve))
  const manners = {
    pair: async (bluez: Bluez, path: string) => {
      for (const entered of [0, 1, 2]) await bluez.ask('DisplayPasskey', 'ouq', path, 42, entered)
      await done
    },
  }
  const { client, questions, bluez, outcome } = await pairing(t, keyboard, isKeyboard, manners)
  const third = client.next<Question & { entered: number }>('bluetooth:pairing', ({ entered }) => entered === 2)
  const { id, number, kind } = await third
  t.same([kind, number, new Set(questions.map((each) => each.id)).size], ['show', '000042', 1])
  t.match(await answer(client, { id } as Question, true), { code: 'INVALID_PAYLOAD' })
  typed()
  t.match(await outcome, { success: true })
  t.ok(bluez.get(pathOf(keyboard), deviceInterface, 'Paired'))
  const other = await pairing(t, keyboard, isKeyboard, {
    pair: async (bluez, path) => {
      await bluez.ask('DisplayPinCode', 'os', path, '99')
      await new Promise(() => undefined)
    },
  })
  await answer(other.client, await other.question, false)
  t.match(await other.outcome, { code: 'BT_DECLINED' })
})

void t.test('a keyboard that shows no number stays blocked until the person wants it, else it is forgotten', async (t) => {
  const just = { pair: (bluez: Bluez, path: string) => bluez.ask('RequestAuthorization', 'o', path) }
  const yes = await pairing(t, keyboard, isKeyboard, just)
  const asked = await yes.question
  t.match(asked, { kind: 'risk', mac: keyboard, name: 'Keys' })
  t.same([yes.look('Paired'), yes.look('Blocked'), yes.look('Trusted')], [true, true, false])
  await t.rejects(yes.bluez.ask('AuthorizeService', 'os', pathOf(keyboard), 'hid'), new Error('Rejected'))
  await answer(yes.client, asked, true)
  t.match(await yes.outcome, { success: true })
  t.same([yes.look('Blocked'), yes.look('Trusted')], [false, true])
  await yes.bluez.ask('AuthorizeService', 'os', pathOf(keyboard), 'hid')
  const no = await pairing(t, keyboard, isKeyboard, {})
  await answer(no.client, await no.question, false)
  t.match(await no.outcome, { code: 'BT_DECLINED' })
  t.equal(no.look('Paired'), undefined, 'it is not even known any more')
})

void t.test('a client that leaves while it pairs leaves nothing behind', async (t) => {
  const { client, bluez, host, question, outcome, look } = await pairing(t, keyboard, isKeyboard, {})
  outcome.catch(() => undefined)
  await question
  client.socket.close()
  await bluez.until(() => look('Paired') === undefined)
  const other = await host.client('operator')
  t.match(await pair(other, keyboard), { code: 'BT_DEVICE_NOT_FOUND' })
  const waits = { pair: (bluez: Bluez, path: string) => bluez.ask('RequestConfirmation', 'ou', path, 1) }
  await bluez.addDevice(headset, {}, waits)
  await bluez.heard()
  const asked = other.next('bluetooth:pairing')
  pair(other, headset).catch(() => undefined)
  await asked
  other.socket.close()
  await bluez.until(() => bluez.calls.includes(`${pathOf(headset).split('/').at(-1)}.CancelPairing`))
})

void t.test('a question that BlueZ takes back is not asked any more', async (t) => {
  const manners = {
    pair: async (bluez: Bluez, path: string) => {
      const asked = bluez.ask('RequestConfirmation', 'ou', path, 1)
      await bluez.ask('Cancel', '')
      await asked.catch(() => undefined)
      throw bluezError('AuthenticationFailed')
    },
  }
  const { client, question, outcome } = await pairing(t, headset, {}, manners)
  const asked = await question
  t.match(await outcome, { code: 'BT_AUTH_FAILED' })
  t.match(await answer(client, asked, true), { code: 'BT_NO_QUESTION' })
})

void t.test('who pairs uninvited, or wants services without being trusted, is refused, and so is who is not BlueZ', async (t) => {
  const { bus, bluez, host } = await start(t)
  const path = await bluez.addDevice(headset)
  const rejected = new Error('Rejected')
  await t.rejects(bluez.ask('RequestPinCode', 'o', path), rejected)
  await t.rejects(bluez.ask('RequestPasskey', 'o', path), rejected)
  await t.rejects(bluez.ask('RequestConfirmation', 'ou', path, 1), rejected)
  await t.rejects(bluez.ask('RequestAuthorization', 'o', path), rejected)
  await t.rejects(bluez.ask('DisplayPasskey', 'ouq', path, 1, 0), rejected)
  await t.rejects(bluez.ask('AuthorizeService', 'os', path, 'x'), rejected)
  await bluez.ask('Cancel', '')
  await bluez.ask('Release', '')
  t.match(host.log.join('\n'), /refused a device that nobody here asked for/)
  const stranger = await bus.client()
  const { owner: destination, path: agent } = bluez.agent ?? { owner: '', path: '' }
  const call = { destination, path: agent, interface: 'org.bluez.Agent1', member: 'RequestPinCode', signature: 'o', body: [path] }
  const refusal = await stranger.invoke(call).catch((error: { dbusName?: string }) => error.dbusName)
  t.match(refusal, /AccessDenied|UnknownMethod|UnknownObject/)
})

void t.test('paired devices are connected and disconnected, and what fails says why', async (t) => {
  const { bluez, client, subscribe, status } = await start(t)
  await subscribe()
  let failure: Error | undefined = bluezError('Failed', 'br-connection-page-timeout')
  const connect = () => {
    if (failure) throw failure
  }
  const path = await bluez.addDevice(headset, {}, { connect })
  await bluez.heard()
  const ask = (command: string) => client.ask(`bluetooth:${command}`, { mac: headset.toLowerCase() })
  for (const command of ['connect', 'unpair']) t.match(await ask(command), { code: 'BT_NOT_PAIRED' })
  t.match(await client.ask('bluetooth:trust', { mac: headset, trusted: true }), { code: 'BT_NOT_PAIRED' })
  bluez.set(path, deviceInterface, { Paired: ['b', true] })
  await bluez.heard()
  t.match(await ask('connect'), { code: 'BT_UNREACHABLE' })
  failure = bluezError('Failed', 'br-connection-profile-unavailable')
  t.match(await ask('connect'), { code: 'BT_NO_PROFILE' })
  failure = undefined
  const connected = status(({ connectedDevices }) => connectedDevices.length === 1)
  t.match(await ask('connect'), { success: true })
  await connected
  t.match(await ask('connect'), { success: true }, 'it is so already')
  t.match(await ask('disconnect'), { success: true })
  t.match(await ask('disconnect'), { code: 'BT_NOT_CONNECTED' })
  bluez.set(path, deviceInterface, { Blocked: ['b', true] })
  await bluez.heard()
  t.match(await ask('connect'), { code: 'BT_DEVICE_BLOCKED' })
  t.match(await client.ask('bluetooth:connect', { mac: 'nonsense' }), { code: 'INVALID_PAYLOAD' })
  t.match(await client.ask('bluetooth:connect', { mac: 'AA:AA:AA:AA:AA:AA' }), { code: 'BT_DEVICE_NOT_FOUND' })
  const seen = status(({ discoverable }) => discoverable)
  t.match(await client.ask('bluetooth:discoverable', { on: true }), { success: true })
  await seen
})

void t.test('every failure of a pairing keeps its name', async (t) => {
  let error = new Error()
  const pair = () => {
    throw error
  }
  const { client, bluez } = await start(t)
  await bluez.addDevice(headset, {}, { pair })
  await bluez.heard()
  for (const [name, code] of [
    ['AuthenticationFailed', 'BT_AUTH_FAILED'],
    ['AuthenticationTimeout', 'BT_AUTH_TIMEOUT'],
    ['ConnectionAttemptFailed', 'BT_UNREACHABLE'],
  ] as const) {
    error = bluezError(name)
    t.match(await client.ask('bluetooth:pair', { mac: headset }), { code })
  }
})

void t.test(
  'an adapter that is pulled makes it unavailable, and it runs again when that is back; so with bluetoothd',
  async (t) => {
    const { bluez, bus, host, client, subscribe } = await start(t)
    await subscribe()
    bluez.remove('/org/bluez/hci0')
    const { reason } = await host.reached('bluetooth', 'unavailable')
    t.equal(
      reason,
      'The service org.bluez has no Bluetooth adapter, or does not run. Mend it with: sudo systemctl enable --now bluetooth.service',
    )
    t.match(await client.ask('bluetooth:scan'), { code: 'MODULE_UNAVAILABLE' })
    const back = client.next<Status>('bluetooth:status')
    await bluez.addAdapter()
    t.match(await back, { powered: true }, 'who is subscribed need do nothing')
    await bluez.stop()
    await host.reached('bluetooth', 'unavailable')
    const again = await new Bluez(bus).start()
    await again.addAdapter()
    await host.reached('bluetooth', 'running')
    await again.until(() => again.calls.includes('RequestDefaultAgent'))
    t.match(await client.ask('bluetooth:scan'), { success: true })
  },
)
