import t, { type Test } from 'tap'
import { Simulated } from '../../../test/support/simulated.ts'
import type { Network } from '../driver/networks.ts'
import type { Status } from '../driver/status.ts'

// At the pace of the real thing, side by side.
t.setTimeout(180_000)
t.jobs = 4

const home = ({ ssid, connected }: Status) => ssid === 'Simulated home' && connected
const cafe = 'Simulated cafe, key 12345678'

async function start(t: Test) {
  const wifi = await Simulated.start(t, 'wifi', 'wifi:status', 'wifi:networks', 'wifi:saved')
  await wifi.until('wifi:status', home)
  const has = (name: string) => wifi.latest<Network[]>('wifi:networks').some(({ ssid }) => ssid === name)
  return { wifi, client: wifi.client, has }
}

void t.test('it is connected to begin with, and every network is called simulated', { buffered: true }, async (t) => {
  const { wifi } = await start(t)
  t.match(wifi.latest('wifi:status'), { device: 'simulated0', ip: '192.0.2.18', security: 'WPA2' })
  const networks = wifi.latest<Network[]>('wifi:networks')
  t.ok(networks.length >= 6)
  t.ok(networks.every(({ ssid }) => ssid.startsWith('Simulated')))
})

void t.test(
  'a wrong password is refused and the network before is joined again; the right one joins and is saved',
  { buffered: true },
  async (t) => {
    const { wifi, client } = await start(t)
    const left = client.next<Status>('wifi:status', (status) => !home(status))
    t.match(await client.ask('wifi:connect', { ssid: cafe, password: 'not the key' }), { code: 'WIFI_AUTH_FAILED' })
    await left
    await wifi.until('wifi:status', home)
    t.match(await client.ask('wifi:connect', { ssid: cafe }), { code: 'WIFI_PASSWORD_REQUIRED' })

    t.same(await client.ask('wifi:connect', { ssid: cafe, password: '12345678' }), { success: true })
    t.match(wifi.latest('wifi:status'), { ssid: cafe, connected: true, band: '2.4 GHz' })
    const saved = wifi.latest<Array<{ ssid: string }>>('wifi:saved').map(({ ssid }) => ssid)
    t.same(saved.sort(), [cafe, 'Simulated home'])
  },
)

void t.test(
  'a network goes and comes back as scans tell, and a hidden one is joined by its name',
  { buffered: true },
  async (t) => {
    const { wifi, client, has } = await start(t)
    t.ok(has('Simulated bus'))
    t.same(await client.ask('wifi:scan'), { success: true })
    t.notOk(has('Simulated bus'))
    t.same(await client.ask('wifi:connect', { ssid: 'Simulated hidden', password: '12345678', hidden: true }), { success: true })
    t.match(wifi.latest('wifi:status'), { ssid: 'Simulated hidden', connected: true })
    t.same(await client.ask('wifi:scan'), { success: true })
    t.ok(has('Simulated bus'))
  },
)

void t.test('without its radio it is connected to nothing', { buffered: true }, async (t) => {
  const { wifi, client } = await start(t)
  t.same(await client.ask('wifi:radio', { enabled: false }), { success: true })
  t.match(wifi.latest('wifi:status'), { connected: false, radio: false, state: 'unavailable' })
  t.match(await client.ask('wifi:scan'), { code: 'WIFI_RADIO_OFF' })
  t.same(await client.ask('wifi:radio', { enabled: true }), { success: true })
  t.match(wifi.latest('wifi:status'), { radio: true })
})
