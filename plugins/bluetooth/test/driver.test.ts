import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Bluetooth } from '../driver/bluetooth.ts'
import { Countdown } from '../driver/countdown.ts'
import { Discovery } from '../driver/discovery.ts'
import { explain, isDone } from '../driver/failure.ts'
import { canType, kindOf } from '../driver/kind.ts'
import { shownDevices } from '../driver/list.ts'
import { adapterOf, cleanName, type Device, devicesOf } from '../driver/objects.ts'
import { Throttle } from '../driver/throttle.ts'

const failing = (dbusName: string, message = '') => Object.assign(new Error(message), { dbusName })
const service = (id: number) => `0000${id.toString(16)}-0000-1000-8000-00805f9b34fb`
const claims = (deviceClass?: number, appearance?: number, ...services: number[]) => ({
  class: deviceClass,
  appearance,
  services: services.map(service),
})

void t.test('the kind of a device is known by class, appearance or services, in this order', async (t) => {
  t.equal(kindOf(claims(0x240404)), 'audio', 'a headset')
  t.equal(kindOf(claims(0x2540)), 'input', 'a keyboard')
  t.equal(kindOf(claims(0x5a020c)), 'phone')
  t.equal(kindOf(claims(0x10c)), 'computer')
  t.equal(kindOf(claims(0x08043c)), 'display', 'a television')
  t.equal(kindOf(claims(0x0610)), 'display', 'a screen among the imaging devices')
  t.equal(kindOf(claims(0x0680)), 'imaging', 'a printer')
  t.equal(kindOf(claims(undefined, 961)), 'input', 'a keyboard')
  t.equal(kindOf(claims(undefined, 192)), 'wearable', 'a watch')
  t.equal(kindOf(claims(undefined, 832)), 'health', 'a heart rate sensor')
  t.equal(kindOf(claims(undefined, undefined, 0x110b)), 'audio')
  t.equal(kindOf(claims(undefined, undefined, 0x110a, 0x1112)), 'phone', 'it plays too')
  t.equal(kindOf(claims(undefined, undefined, 0x1812)), 'input')
  t.equal(kindOf(claims(0, 0)), 'unknown')
})

void t.test('what may type is told from what cannot', async (t) => {
  t.ok(canType(claims(0x2540)), 'a keyboard')
  t.ok(canType(claims(0x25c0)), 'keyboard and mouse in one')
  t.ok(canType(claims(undefined, 961)))
  t.ok(canType(claims(undefined, 960)), 'some input device')
  t.ok(canType(claims(undefined, 704)), 'a bar code reader')
  t.ok(canType(claims(undefined, undefined, 0x1812)), 'nothing but the service')
  t.ok(canType(claims(0x240404, undefined, 0x110b, 0x1124)), 'a headset that offers input')
  t.ok(canType(claims(0x2500, undefined, 0x1124)), 'a peripheral that does not say which')
  t.notOk(canType(claims(0x2580, undefined, 0x1124)), 'a mouse')
  t.notOk(canType(claims(undefined, 962, 0x1812)), 'a mouse')
  t.notOk(canType(claims(0x240404, undefined, 0x110b)), 'a headset')
})

void t.test('names are made fit to be shown', async (t) => {
  t.equal(cleanName('Küche 🎧'), 'Küche 🎧')
  t.equal(cleanName('a\n\tb\u2028c   d'), 'a b c d')
  t.equal(cleanName('\u202Eevil\u0000\u200B\u2066\uFEFF\u00AD'), 'evil')
  t.equal(cleanName('\uD800half'), 'half')
  t.equal(cleanName(`Z${'\u0301'.repeat(50)}algo`), 'Z\u0301\u0301algo')
  t.equal(cleanName('\u3164\u115F \u00A0'), null)
  t.equal([...(cleanName('🎧'.repeat(500)) ?? '')].length, 64)
  for (const none of ['', undefined, 7, {}]) t.equal(cleanName(none), null)
})

const objects = (all: Record<string, Record<string, Record<string, unknown>>>) =>
  new Map(Object.entries(all).map(([path, has]) => [path, new Map(Object.entries(has))]))
const adapter = (more = {}) => ({ 'org.bluez.Adapter1': { Address: '00:00:00:00:00:01', Alias: 'pi', Powered: true, ...more } })

void t.test('objects are read as they ought to be, whatever they are', async (t) => {
  const all = objects({
    '/org/bluez/hci10': adapter({ Address: '00:00:00:00:00:10' }),
    '/org/bluez/hci2': adapter({ Powered: 'yes', Alias: 5 }),
    '/org/bluez/hci2/dev_1': { 'org.bluez.Device1': { Address: 'aa:bb:cc:dd:ee:01', Alias: 'AA-BB-CC-DD-EE-01', RSSI: -40 } },
    '/org/bluez/hci2/dev_2': {
      'org.bluez.Device1': { Address: 7, Alias: ['x'], RSSI: 'loud', Paired: 1, UUIDs: [1, null], Class: {}, Icon: '<b>' },
      'org.bluez.Battery1': { Percentage: 250 },
    },
    '/org/bluez/hci10/dev_3': { 'org.bluez.Device1': { Address: 'AA:BB:CC:DD:EE:03' } },
    '/org/bluez/hci2/dev_1/player0': { 'org.bluez.MediaPlayer1': {} },
  })
  const first = adapterOf(all)
  t.match(first, { id: 'hci2', mac: '00:00:00:00:00:01', name: null, powered: false, discovering: false })
  t.equal(adapterOf(all, 'hci10')?.mac, '00:00:00:00:00:10')
  t.equal(adapterOf(all, '00:00:00:00:00:10')?.id, 'hci10')
  t.equal(adapterOf(all, 'hci7'), undefined)
  const [one, two, ...more] = devicesOf(all, first as NonNullable<typeof first>)
  t.same(more, [])
  t.match(one, { mac: 'AA:BB:CC:DD:EE:01', name: null, rssi: -40, battery: null, type: 'unknown', icon: 'bluetooth' })
  t.match(two, { mac: '', name: null, rssi: null, paired: false, battery: 100, icon: 'bluetooth' })
})

void t.test('a crowd is cut to the devices that matter, in an order that strength does not change', async (t) => {
  const device = (index: number, more: Partial<Device> = {}) =>
    ({
      path: `/${index}`,
      mac: String(index).padStart(4, '0'),
      name: null,
      rssi: -90,
      paired: false,
      connected: false,
      ...more,
    }) as Device
  const crowd = Array.from({ length: 5000 }, (_, index) => device(index, { rssi: -100 + (index % 50) }))
  const known = [
    device(9001, { name: 'B', rssi: -30 }),
    device(9002, { name: 'A', rssi: -80 }),
    device(9003, { paired: true, rssi: null }),
    device(9004, { connected: true, rssi: null }),
  ]
  const shown = shownDevices([...crowd, ...known])
  t.equal(shown.length, 200)
  t.same(
    shown.slice(0, 4).map(({ mac }) => mac),
    ['9004', '9003', '9002', '9001'],
  )
  t.ok(shown.slice(4).every(({ rssi }) => (rssi ?? 0) >= -53))
  t.notOk('path' in (shown[0] ?? {}))
})

void t.test('every way in which BlueZ fails has a code', async (t) => {
  const codes: Record<string, [name: string, message?: string]> = {
    BT_AUTH_FAILED: ['org.bluez.Error.AuthenticationFailed', 'Authentication Failed'],
    BT_AUTH_REJECTED: ['org.bluez.Error.AuthenticationRejected'],
    BT_AUTH_CANCELED: ['org.bluez.Error.AuthenticationCanceled'],
    BT_AUTH_TIMEOUT: ['org.bluez.Error.AuthenticationTimeout'],
    BT_UNREACHABLE: ['org.bluez.Error.ConnectionAttemptFailed', 'Page Timeout'],
    BT_POWERED_OFF: ['org.bluez.Error.NotReady', 'Resource Not Ready'],
    BT_BLOCKED_BY_RFKILL: ['org.bluez.Error.Blocked', 'Blocked through rfkill'],
    BT_DEVICE_NOT_FOUND: ['org.bluez.Error.DoesNotExist', 'Does Not Exist'],
    BT_NOT_CONNECTED: ['org.bluez.Error.NotConnected'],
    BT_NO_PROFILE: ['org.bluez.Error.NotAvailable', 'Operation currently not available'],
    BT_NOT_SUPPORTED: ['org.bluez.Error.NotSupported'],
    BT_IN_PROGRESS: ['org.bluez.Error.InProgress'],
    BT_NOT_PERMITTED: ['org.freedesktop.DBus.Error.AccessDenied'],
    BT_SERVICE_GONE: ['org.freedesktop.DBus.Error.ServiceUnknown'],
    BT_FAILED: ['org.bluez.Error.Failed', 'Something new'],
  }
  for (const [code, [name, message]] of Object.entries(codes)) t.equal(explain(failing(name, message)).code, code, name)
  const reasons: Record<string, string> = {
    'br-connection-page-timeout': 'BT_UNREACHABLE',
    'br-connection-timeout': 'BT_UNREACHABLE',
    'le-connection-abort-by-local': 'BT_UNREACHABLE',
    'Host is down': 'BT_UNREACHABLE',
    'br-connection-profile-unavailable': 'BT_NO_PROFILE',
    'br-connection-adapter-not-powered': 'BT_POWERED_OFF',
    'br-connection-key-missing': 'BT_KEY_MISSING',
    'br-connection-busy': 'BT_IN_PROGRESS',
    'br-connection-canceled': 'BT_AUTH_CANCELED',
    'br-connection-refused': 'BT_CONNECT_FAILED',
    'le-connection-link-layer-protocol-error': 'BT_CONNECT_FAILED',
  }
  for (const [message, code] of Object.entries(reasons))
    t.equal(explain(failing('org.bluez.Error.Failed', message)).code, code, message)
  const left = 'Message recipient disconnected from message bus without replying'
  t.equal(explain(failing('org.freedesktop.DBus.Error.NoReply', left)).code, 'BT_SERVICE_GONE')
  t.equal(explain(failing('org.freedesktop.DBus.Error.NoReply', 'late')).code, 'BT_UNREACHABLE')
  t.equal(explain(failing('org.bluez.Error.Failed', 'Something new')).message, 'BlueZ says: Something new.')
  t.ok(explain(new Error('x'.repeat(5000))).message.length < 220)
  for (const done of ['AlreadyExists', 'AlreadyConnected']) t.ok(isDone(failing(`org.bluez.Error.${done}`)))
  t.ok(isDone(failing('org.bluez.Error.Failed', 'br-connection-already-connected')))
  t.notOk(isDone(failing('org.bluez.Error.Failed', 'x')))
})

void t.test('one discovery serves all who wish, and starts and stops never overlap', async (t) => {
  const log: string[] = []
  let isUnderWay = false
  const slow = (what: string) => async () => {
    t.notOk(isUnderWay)
    isUnderWay = true
    await new Promise((resolve) => setImmediate(resolve))
    isUnderWay = false
    log.push(what)
  }
  const discovery = new Discovery({ start: slow('start'), stop: slow('stop') }, 60_000)
  await Promise.all([discovery.wish('a'), discovery.wish('b'), discovery.wish('a')])
  await discovery.end('a')
  await discovery.end('nobody')
  t.same(log.splice(0), ['start'])
  await discovery.end('b')
  t.same(log.splice(0), ['stop'])
  await Promise.all([discovery.wish('a'), discovery.end('a'), discovery.wish('b')])
  t.same(log.at(-1), 'start', 'who wishes while it stops gets it')
  log.length = 0
  discovery.lost()
  await discovery.wish('a')
  t.same(log.splice(0), ['start'], 'what BlueZ ended is begun anew')
  await discovery.stop()
  t.same(log.splice(0), ['stop'])
})

void t.test('a discovery that does not start leaves no wish, and a wish ends by itself', async (t) => {
  let stopped = () => {}
  const end = new Promise<void>((resolve) => (stopped = resolve))
  let fails = true
  const start = async () => {
    if (fails) throw new Error('off')
  }
  const discovery = new Discovery({ start, stop: async () => stopped() }, 1)
  await t.rejects(discovery.wish('a'), { message: 'off' })
  fails = false
  await discovery.wish('b')
  const alive = setInterval(() => undefined, 1000)
  await end
  clearInterval(alive)
})

void t.test('what changes often is told at once, then after the interval, and never without end', async (t) => {
  let told = 0
  const throttle = new Throttle(20, () => told++)
  throttle.touch()
  t.equal(told, 1)
  for (let i = 0; i < 10; i++) throttle.touch()
  t.equal(told, 1)
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.equal(told, 2, 'the last change is told')
  throttle.touch()
  throttle.flush()
  const before = told
  throttle.touch()
  throttle.flush()
  t.equal(told, before + 1, 'at once if it is wanted')
  throttle.touch()
  throttle.stop()
  await new Promise((resolve) => setTimeout(resolve, 40))
  t.equal(told, before + 1)
})

void t.test('a deadline that stands still does not end', async (t) => {
  let ended = 0
  const countdown = new Countdown(30, () => ended++)
  countdown.pause()
  countdown.pause()
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.equal(ended, 0)
  countdown.run()
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.equal(ended, 1)
})

void t.test('an adapter that rfkill keeps off is told from one that is switched off', async (t) => {
  const sysfs = t.testdir({})
  const path = join(sysfs, 'hci0', 'rfkill3')
  mkdirSync(path, { recursive: true })
  const set = (soft: number, hard: number) => {
    writeFileSync(join(path, 'soft'), `${soft}\n`)
    writeFileSync(join(path, 'hard'), `${hard}\n`)
  }
  const call = async () => {
    throw failing('org.bluez.Error.Failed', 'Failed')
  }
  let changes = 0
  const options = { adapter: '', scanMs: 1000, onChange: () => changes++, onRefusal: () => undefined, sysfs }
  const radio = new Bluetooth({ ...options, call })
  await t.rejects(radio.power(true), { code: 'BT_NO_ADAPTER' })
  radio.see(objects({ '/org/bluez/hci0': adapter({ Powered: false }) }))
  set(0, 0)
  await t.rejects(radio.discovery.wish('a'), { code: 'BT_POWERED_OFF' })
  await t.rejects(radio.power(true), { code: 'BT_FAILED' })
  t.equal(radio.block, 'none')
  set(1, 0)
  changes = 0
  await t.rejects(radio.power(true), { code: 'BT_BLOCKED_BY_RFKILL', detail: undefined })
  t.equal(radio.block, 'soft')
  t.equal(changes, 1)
  set(1, 1)
  await t.rejects(radio.discovery.wish('a'), { code: 'BT_BLOCKED_BY_RFKILL', detail: /switch on the machine/ })
  t.equal(radio.block, 'hard')
  const gone = new Bluetooth({
    ...options,
    call: async () => Promise.reject(failing('org.freedesktop.DBus.Error.UnknownObject')),
  })
  gone.see(objects({ '/org/bluez/hci7': adapter() }))
  await t.rejects(gone.discoverable(true), { code: 'BT_NO_ADAPTER' }, 'the adapter went while it was asked')
})
