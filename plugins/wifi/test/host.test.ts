import t, { type Test } from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { arrivedOver } from '../driver/arrival.ts'
import type { Network } from '../driver/networks.ts'
import type { Status } from '../driver/status.ts'
import { NetworkManagerStandIn, nm, wlan0 } from './network-manager.ts'

const password = 'correct-horse-battery'
const points = [
  { ssid: 'Home', rsn: 0x188 },
  { ssid: 'Cafe', signal: 40 },
]

async function start(t: Test, device = 'wlan0') {
  const bus = await new PrivateBus(t).start()
  const service = await new NetworkManagerStandIn(bus).addDevice(device).hear(points).start()
  const host = await startTestHost({ builtins: ['wifi'], busAddress: bus.address })
  t.teardown(async () => {
    await host.stop()
    await service.stop()
  })
  await host.reached('wifi', 'running')
  return { bus, service, host }
}

void t.test('a client subscribes, joins a network and sees it, and nowhere is the password', async (t) => {
  const { service, host } = await start(t)
  const client = await host.client('operator')
  const heard: unknown[] = []
  for (const event of ['wifi:status', 'wifi:networks', 'wifi:saved', 'error'])
    client.socket.on(event, (value: unknown) => void heard.push([event, value]))
  const first = [client.next<Status>('wifi:status'), client.next<Network[]>('wifi:networks'), client.next('wifi:saved')] as const
  t.match(await client.ask('module:subscribe', { module: 'wifi' }), { success: true, state: 'running' })
  const [status, networks, saved] = await Promise.all(first)
  t.match(status, { connected: false, device: 'wlan0', radio: true, state: 'disconnected' })
  t.match(networks, [
    { ssid: 'Home', security: 'WPA2', channel: 6, connected: false, saved: false },
    { ssid: 'Cafe', security: 'Open', signal: 40 },
  ])
  t.same(saved, [])

  service.next.push('wrong password')
  const error = client.next('error')
  const refused = await client.ask('wifi:connect', { ssid: 'Home', password: `wrong-${password}` })
  t.match(refused, { success: false, code: 'WIFI_AUTH_FAILED', error: 'The network refused the password.' })
  t.match(await error, { module: 'wifi', code: 'WIFI_AUTH_FAILED', event: 'wifi:connect', id: refused.id })

  let connected: Status | undefined
  client.socket.on('wifi:status', (value: Status) => {
    if (value.connected) connected ??= value
  })
  t.same(await client.ask('wifi:connect', { ssid: 'Home', password }), { success: true })
  t.match(connected, { ssid: 'Home', ip: '10.77.0.18', signal: 80, speed: '54 Mbps', gateway: '10.77.0.1', dns: ['10.77.0.1'] })
  t.match(await client.ask('wifi:connect', { ssid: 'Home', password }), { success: true }, 'a third time')
  t.match(await client.ask('wifi:connect', { ssid: 'Home', password }), { code: 'RATE_LIMITED' })
  service.denied.add('Delete')
  t.match(await client.ask('wifi:forget', { ssid: 'Home' }), { code: 'WIFI_PERMISSION', error: /settings\.modify\.system/ })
  service.denied.clear()
  t.same(await client.ask('wifi:disconnect'), { success: true })
  t.same(await client.ask('wifi:forget', { ssid: 'Home' }), { success: true })
  t.match(await client.ask('wifi:connect', { ssid: 'Home', password: 5 }), { success: false })
  t.ok(service.passwords.includes(password), 'NetworkManager was told it')
  t.notMatch(JSON.stringify([heard, host.log]), password)
})

void t.test('what changes is told when it changes, and a scan is asked for when the list is old', async (t) => {
  const { service, host } = await start(t)
  const asked = () => service.calls.filter((call) => call.endsWith('RequestScan')).length
  t.equal(asked(), 0, 'nobody is subscribed')
  const client = await host.client('viewer')
  const list = client.next<Network[]>('wifi:networks', (networks) => networks.length === 3)
  await client.ask('module:subscribe', { module: 'wifi' })
  while (asked() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  service.hear([...points, { ssid: 'New', frequency: 5180 }])
  t.match(await list, [{}, { ssid: 'New', band: '5 GHz', channel: 36 }, {}])
  const off = client.next<Status>('wifi:status', ({ radio }) => !radio)
  service.setRadio(false)
  t.match(await off, { connected: false, state: 'unavailable' })
  const gone = client.next<Status>('wifi:status', ({ device }) => device === undefined)
  service.pull()
  t.same(await gone, { connected: false, radio: false, state: 'unavailable' })
  t.match(await client.ask('wifi:scan'), { code: 'FORBIDDEN' })
})

void t.test('without NetworkManager it is unavailable, and runs again with it', async (t) => {
  const { service, host } = await start(t)
  const client = await host.client('operator')
  await client.ask('module:subscribe', { module: 'wifi' })
  await service.stop()
  t.match(await host.reached('wifi', 'unavailable'), { reason: /org\.freedesktop\.NetworkManager/ })
  t.match(await client.ask('wifi:scan'), { code: 'MODULE_UNAVAILABLE' })
  const status = client.next<Status>('wifi:status', ({ connected }) => !connected)
  await service.start()
  await host.reached('wifi', 'running')
  t.match(await status, { device: 'wlan0' })
})

void t.test('a change over the interface on which its command came waits for a sign of life', async (t) => {
  const over = await arrivedOver('127.0.0.1')
  const { service, host } = await start(t, over)
  const client = await host.client('operator')
  t.same(await client.ask('wifi:connect', { ssid: 'Cafe' }), { success: true })
  t.equal(service.checkpoints, 0, 'nothing was connected before')
  t.same(await client.ask('wifi:connect', { ssid: 'Home', password }), { success: true })
  t.equal(service.checkpoints, 1)
  while (service.checkpoints > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    client.socket.emit('module:subscribe', { module: 'wifi' })
  }
  t.equal(service.connected, 'Home')
})

void t.test('the radio is switched', async (t) => {
  const { service, host } = await start(t)
  const client = await host.client('operator')
  t.same(await client.ask('wifi:radio', { enabled: false }), { success: true })
  t.match(await client.ask('wifi:scan'), { code: 'WIFI_RADIO_OFF' })
  t.same(await client.ask('wifi:radio', { enabled: true }), { success: true })
  t.same(await client.ask('wifi:scan'), { success: true })
  t.ok(service.calls.includes('org.freedesktop.DBus.Properties.Set'))
})

void t.test('5,000 access points are listed, the strongest 200', async (t) => {
  const { service, host } = await start(t)
  service.hear(Array.from({ length: 5000 }, (_, index) => ({ ssid: `n${index}`, signal: index % 100, rsn: 0x188 })))
  const client = await host.client('viewer')
  const list = client.next<Network[]>('wifi:networks', (networks) => networks.length === 200)
  await client.ask('module:subscribe', { module: 'wifi' })
  t.ok((await list).every(({ signal }) => signal >= 95))
  service.set(wlan0, `${nm}.Device.Wireless`, { AccessPoints: ['ao', []] })
  await client.next<Network[]>('wifi:networks', (networks) => networks.length === 0)
})
