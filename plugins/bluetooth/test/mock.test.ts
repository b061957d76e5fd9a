// Against a BlueZ that is not ours: python3-dbusmock's.
import t from 'tap'
import { startTestHost } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { pathOf } from './bluez.ts'
import { startMock } from './mock.ts'

const [phone, old] = ['AA:BB:CC:DD:EE:01', 'AA:BB:CC:DD:EE:02']

/** BlueZ asks its agent for the PIN of an old device, which is 0000. */
const legacyPair = (agent: string) => `
agent = dbus.Interface(self.connection.get_object('${agent}', '/org/patchbay/bluetooth/agent', introspect=False), 'org.bluez.Agent1')
if agent.RequestPinCode(dbus.ObjectPath(self.path)) != '0000':
    raise dbus.exceptions.DBusException('Authentication Failed', name='org.bluez.Error.AuthenticationFailed')
objects['/'].PairDevice('hci0', '${old}', 0x1f00)
`

void t.test('devices of a BlueZ that is not ours are scanned for, paired, with a PIN too, connected and forgotten', async (t) => {
  const bus = await new PrivateBus(t).start()
  const mock = await startMock(t, bus)
  const own = await bus.client()
  const host = await startTestHost({ builtins: ['bluetooth'], busAddress: bus.address })
  t.teardown(() => host.stop())
  await host.reached('bluetooth', 'unavailable')
  await mock('AddAdapter', 'ss', 'hci0', 'testpi')
  await host.reached('bluetooth', 'running')
  const client = await host.client('operator')
  const devices = (fits: (devices: Array<Record<string, unknown>>) => boolean) => client.next('bluetooth:devices', fits)
  await client.ask('module:subscribe', { module: 'bluetooth' })
  // this BlueZ stumbles over a discovery that no filter was set for
  const filter = {
    destination: 'org.bluez',
    path: '/org/bluez/hci0',
    interface: 'org.bluez.Adapter1',
    member: 'SetDiscoveryFilter',
  }
  await own.invoke({ ...filter, signature: 'a{sv}', body: [[]] })
  t.match(await client.ask('bluetooth:scan'), { success: true })
  const found = devices((all) => all.length === 2)
  await mock('AddDevice', 'sss', 'hci0', phone, 'Phone')
  await mock('AddDevice', 'sss', 'hci0', old, 'Old')
  t.match(await found, [
    { name: 'Old', mac: old, paired: false, rssi: -79 },
    { name: 'Phone', mac: phone, paired: false },
  ])
  t.match(await client.ask('bluetooth:stop_scan'), { success: true })
  const paired = devices((all) => all.some(({ mac, ...each }) => mac === phone && each['paired'] && each['trusted']))
  t.match(await client.ask('bluetooth:pair', { mac: phone }), { success: true })
  t.match(await paired, [{ mac: phone, type: 'phone' }, { mac: old }])
  t.match(await client.ask('bluetooth:connect', { mac: phone }), { success: true })
  t.match(await client.ask('bluetooth:disconnect', { mac: phone }), { success: true })

  const service = await own.getNameOwner('org.bluez')
  const agent = (await bus.strangers()).find((name) => name !== service)
  const pair = ['org.bluez.Device1', 'Pair', '', '', legacyPair(agent ?? '')]
  const mend = { destination: 'org.bluez', path: pathOf(old), interface: 'org.freedesktop.DBus.Mock', member: 'AddMethod' }
  await own.invoke({ ...mend, signature: 'sssss', body: pair })
  t.match(await client.ask('bluetooth:pair', { mac: old, pin: '1234' }), { code: 'BT_AUTH_FAILED' })
  t.match(await client.ask('bluetooth:pair', { mac: old, pin: '0000' }), { success: true })
  t.match(await client.ask('bluetooth:unpair', { mac: old }), { success: true })
  await mock('RemoveAdapterWithDevices', 's', 'hci0')
  await host.reached('bluetooth', 'unavailable')
})
