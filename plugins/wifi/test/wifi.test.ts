import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { SystemBus } from '../../../core/process/dbus.ts'
import { PrivateBus } from '../../../test/support/bus.ts'
import { type Asker, type Times, Wifi } from '../driver/wifi.ts'
import { NetworkManagerStandIn, nm, type Script, wlan0 } from './network-manager.ts'

const psk = 0x188
const password = 'correcthorse'
const standardPoints = [
  { ssid: 'Home', rsn: psk },
  { ssid: 'Cafe' },
  { ssid: 'Safe', rsn: 0x488, frequency: 5180 },
  { ssid: 'Corp', rsn: 0x288 },
  { ssid: '' },
]

async function lab(t: Test, times: Partial<Times> = {}) {
  const privateBus = await new PrivateBus(t).start()
  const service = await new NetworkManagerStandIn(privateBus).addDevice().hear(standardPoints).start()
  const bus = new SystemBus(privateBus.address)
  const rolledBack: number[] = []
  const wifi = new Wifi(
    {
      call: (request) => bus.call({ service: nm, ...request }),
      onSignal: (filter, listener) => bus.onSignal(nm, filter, listener),
      watchObjects: (options, onChange) => bus.watchObjects(nm, options, onChange),
    },
    () => void rolledBack.push(1),
    { decideMs: 5000, scanMs: 5000, workSeconds: 60, confirmSeconds: 60, ...times },
  )
  t.teardown(async () => {
    wifi.stop()
    bus.close()
    await service.stop()
  })
  const close = await wifi.manager.open()
  t.teardown(close)
  /** Resolves when it is so. */
  const until = async (isSo: () => unknown) => {
    while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { privateBus, service, wifi, rolledBack, until, bus }
}

/** Somebody whose command came over another interface; over the Wi-Fi, heard of again when the test says so. */
const elsewhere: Asker = { arrivedOver: 'eth0', heard: () => Promise.reject(new Error('nobody should ask')) }
function overWifi() {
  let say: () => void = () => {}
  const asker: Asker = {
    arrivedOver: 'wlan0',
    heard: (signal) =>
      new Promise((resolve, reject) => {
        say = resolve
        signal.addEventListener('abort', () => reject(signal.reason as Error))
        wake()
      }),
  }
  let wake: () => void = () => {}
  const asked = new Promise<void>((resolve) => (wake = resolve))
  return { asker, asked, say: () => say() }
}

const code = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  )

void t.test('joins a network with its password, which is saved once it is joined', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Home', password }, elsewhere)
  t.equal(service.connected, 'Home')
  t.same(service.saved, ['Home'])
  t.equal(service.checkpoints, 0)
  await until(() => wifi.status().connected)
  t.match(wifi.status(), {
    connected: true,
    ssid: 'Home',
    ip: '10.77.0.18',
    gateway: '10.77.0.1',
    dns: ['10.77.0.1'],
    speed: '54 Mbps',
    signal: 80,
    device: 'wlan0',
    radio: true,
    state: 'connected',
    security: 'WPA2',
    frequency: 2437,
    band: '2.4 GHz',
  })
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  await wifi.connect({ ssid: 'Safe', password }, elsewhere)
  t.same(service.passwords, [password, password])
  await wifi.connect({ ssid: 'Home' }, elsewhere)
  t.equal(service.connected, 'Home')
  const calls = service.calls.length
  await until(() => wifi.status().ssid === 'Home' && wifi.status().connected)
  await wifi.connect({ ssid: 'Home' }, elsewhere)
  t.notMatch(service.calls.slice(calls).join(), 'Activate', 'what is in use is left in peace')
  const known = (await wifi.saved()).map(({ ssid, security }) => [ssid, security])
  t.same(known.sort(), [
    ['Cafe', 'Open'],
    ['Home', 'WPA2'],
    ['Safe', 'WPA3'],
  ])
})

const outcomes: ReadonlyArray<readonly [Script, string]> = [
  ['wrong password', 'WIFI_AUTH_FAILED'],
  ['not found', 'WIFI_NOT_FOUND'],
  ['no DHCP', 'WIFI_NO_DHCP'],
  ['supplicant', 'WIFI_SUPPLICANT'],
  ['odd', 'WIFI_FAILED'],
]
void t.test('each failure has its code, leaves the connection before and no profile', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  for (const [script, wanted] of outcomes) {
    service.next.push(script)
    t.equal(await code(wifi.connect({ ssid: 'Home', password: 'wrongwrong' }, elsewhere)), wanted, script)
    await until(() => service.connected === 'Cafe')
    t.same(service.saved, ['Cafe'], script)
    t.equal(service.checkpoints, 0)
  }
})

void t.test('a connect that is not decided in time has the code of the state that it has reached', async (t) => {
  const { wifi, service, until } = await lab(t, { decideMs: 1200 })
  const hanging: ReadonlyArray<readonly [Script, string, string]> = [
    ['hangs associating', 'Home', 'WIFI_NOT_FOUND'],
    ['hangs authenticating', 'Home', 'WIFI_AUTH_FAILED'],
    ['hangs at DHCP', 'Home', 'WIFI_NO_DHCP'],
  ]
  for (const [script, ssid, wanted] of hanging) {
    service.next.push(script)
    t.equal(await code(wifi.connect({ ssid, password }, elsewhere)), wanted, script)
    await until(() => wifi.status().state === 'disconnected')
    t.same(service.saved, [])
  }
  // what was heard at the end of the last scan is there, and does not let us in
  service.set(wlan0, `${nm}.Device.Wireless`, { LastScan: ['x', 101_000n] })
  await until(() => wifi.manager.device?.lastScan === 101_000n)
  service.next.push('hangs associating', 'hangs associating', 'not found')
  t.equal(await code(wifi.connect({ ssid: 'Home', password }, elsewhere)), 'WIFI_SUPPLICANT')
  t.equal(await code(wifi.connect({ ssid: 'Safe', password }, elsewhere)), 'WIFI_AUTH_FAILED')
  t.equal(await code(wifi.connect({ ssid: 'Safe', password }, elsewhere)), 'WIFI_AUTH_FAILED')
})

void t.test('what cannot be is refused before anything is done', async (t) => {
  const { wifi, service } = await lab(t)
  const before = service.calls.length
  t.equal(await code(wifi.connect({ ssid: 'x'.repeat(33) }, elsewhere)), 'WIFI_SSID_INVALID')
  t.equal(await code(wifi.connect({ ssid: 'Home' }, elsewhere)), 'WIFI_PASSWORD_REQUIRED')
  t.equal(await code(wifi.connect({ ssid: 'Home', password: 'short' }, elsewhere)), 'WIFI_PASSWORD_INVALID')
  t.equal(await code(wifi.connect({ ssid: 'Corp', password }, elsewhere)), 'WIFI_UNSUPPORTED')
  t.equal(await code(wifi.forget('Home', elsewhere)), 'WIFI_NOT_SAVED')
  await wifi.disconnect(elsewhere)
  t.equal(service.calls.length, before)
})

void t.test('a network that is not in sight is looked for once', async (t) => {
  const { wifi, service } = await lab(t)
  t.equal(await code(wifi.connect({ ssid: 'New' }, elsewhere)), 'WIFI_NOT_FOUND')
  t.equal(service.calls.filter((call) => call.endsWith('RequestScan')).length, 1)
  service.scanned = () => {
    service.hear([...standardPoints, { ssid: 'New' }])
    NetworkManagerStandIn.prototype.scanned.call(service)
  }
  await wifi.connect({ ssid: 'New' }, elsewhere)
  t.equal(service.connected, 'New')
})

void t.test('an access point that goes before it is joined is replaced by another of its network', async (t) => {
  const { wifi, service } = await lab(t)
  service.during.set('CheckpointCreate', () => service.hear(standardPoints))
  await wifi.connect({ ssid: 'Home', password }, elsewhere)
  t.equal(service.connected, 'Home')
  service.during.set('CheckpointCreate', () => service.hear([]))
  t.equal(await code(wifi.connect({ ssid: 'Safe', password }, elsewhere)), 'WIFI_NOT_FOUND')
})

void t.test('a hidden network is joined by its name, and one of odd bytes by how it is shown', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Hidden', password, hidden: true }, elsewhere)
  t.same(service.settingsOf('Hidden')?.['802-11-wireless']?.hidden, ['b', true])
  service.hear([{ ssid: Buffer.from([0x63, 0xe9]) }])
  await until(async () => (await wifi.networks()).length === 1)
  const [network] = await wifi.networks()
  t.equal(network?.ssid, 'c\\xe9')
  await wifi.connect({ ssid: 'c\\xe9' }, elsewhere)
  t.same(service.settingsOf('c\\xe9')?.['802-11-wireless']?.ssid?.[1], Buffer.from([0x63, 0xe9]))
})

void t.test('a new password takes the place of what was saved only when the network is joined with it', async (t) => {
  const { wifi, service, until } = await lab(t)
  const old = service.save('Home', 'wpa-psk', { ipv4: { method: ['s', 'manual'] } })
  await until(() => wifi.manager.objects.has(old))
  service.next.push('wrong password')
  t.equal(await code(wifi.connect({ ssid: 'Home', password: 'wrongwrong' }, elsewhere)), 'WIFI_AUTH_FAILED')
  t.same(service.saved, ['Home'])
  t.ok(wifi.manager.objects.has(old))
  await wifi.connect({ ssid: 'Home', password }, elsewhere)
  await until(() => !wifi.manager.objects.has(old))
  t.same(service.saved, ['Home'])
  t.same(service.settingsOf('Home')?.ipv4?.method, ['s', 'manual'], 'its addresses go on')
})

void t.test('an open network of the name of a secured one that is saved is not joined', async (t) => {
  const { wifi, service, until } = await lab(t)
  const saved = service.save('Home', 'wpa-psk')
  service.hear([{ ssid: 'Home', signal: 100 }])
  await until(() => wifi.manager.objects.has(saved) && wifi.manager.device?.accessPoints.length === 1)
  t.equal(await code(wifi.connect({ ssid: 'Home' }, elsewhere)), 'WIFI_TWIN')
  t.equal(service.connected, undefined)
})

void t.test('of two who connect at once the later wins, and if that fails what was before both comes back', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  service.next.push('hangs at DHCP')
  const first = code(wifi.connect({ ssid: 'Home', password }, elsewhere))
  await until(() => wifi.manager.device?.state === 70)
  const second = code(wifi.connect({ ssid: 'Safe', password }, elsewhere))
  t.same(await Promise.all([first, second]), ['WIFI_SUPERSEDED', 'done'])
  t.equal(service.connected, 'Safe')
  t.equal(service.checkpoints, 0)
  service.next.push('hangs at DHCP', 'wrong password')
  const third = code(wifi.connect({ ssid: 'Home', password }, elsewhere))
  await until(() => wifi.manager.device?.state === 70)
  t.same(await Promise.all([third, code(wifi.connect({ ssid: 'Cafe' }, elsewhere))]), ['WIFI_SUPERSEDED', 'WIFI_AUTH_FAILED'])
  await until(() => service.connected === 'Safe')
  t.same(service.saved.sort(), ['Cafe', 'Safe'])
})

void t.test('what another program wants instead stays', async (t) => {
  const { wifi, service, until } = await lab(t)
  service.next.push('hangs at DHCP')
  const connect = code(wifi.connect({ ssid: 'Home', password }, elsewhere))
  await until(() => wifi.manager.device?.state === 70)
  await service.joinElsewhere()
  t.equal(await connect, 'WIFI_SUPERSEDED')
  await until(() => service.connected === 'Elsewhere')
  t.equal(service.checkpoints, 0)
  service.next.push('disconnected')
  t.equal(await code(wifi.connect({ ssid: 'Cafe' }, elsewhere)), 'WIFI_DISCONNECTED')
  t.equal(service.connected, undefined)
})

void t.test('a change over the Wi-Fi itself stays when its user is heard of again, and no sooner', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  await until(() => wifi.status().connected)
  const { asker, asked, say } = overWifi()
  await wifi.connect({ ssid: 'Home', password }, asker)
  t.equal(service.checkpoints, 1)
  await asked
  t.equal(service.checkpoints, 1)
  say()
  await until(() => service.checkpoints === 0)
  t.equal(service.connected, 'Home')
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

void t.test('a change over the Wi-Fi itself is undone when its user is not heard of', async (t) => {
  const { wifi, service, rolledBack, until } = await lab(t, { confirmSeconds: 0.3 })
  // Node.js 20 forgets timeouts that only AbortSignal.any() knows.
  const garbage = setInterval(collectGarbage, 20)
  t.teardown(() => clearInterval(garbage))
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  await until(() => wifi.status().connected)
  const back = async () => {
    await until(() => rolledBack.length > 0)
    rolledBack.length = 0
    await until(() => service.connected === 'Cafe' && wifi.status().connected)
  }
  for (const arrivedOver of ['wlan0', undefined]) {
    await wifi.connect({ ssid: 'Home', password }, { ...overWifi().asker, arrivedOver })
    t.equal(service.connected, 'Home')
    await back()
    t.same(service.saved, ['Cafe'], 'and the profile is gone')
  }
  await wifi.disconnect(overWifi().asker)
  t.equal(service.connected, undefined)
  await back()
  const radioOff = code(wifi.setRadio(false, overWifi().asker))
  t.equal(await radioOff, 'done')
  t.equal(wifi.status().radio, false)
  await until(() => rolledBack.length > 0)
  await until(() => wifi.status().radio)
})

void t.test('the next command confirms a change that waits to be', async (t) => {
  const { wifi, service, rolledBack, until } = await lab(t)
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  await until(() => wifi.status().connected)
  await wifi.connect({ ssid: 'Home', password }, overWifi().asker)
  service.next.push('wrong password')
  t.equal(await code(wifi.connect({ ssid: 'Safe', password }, elsewhere)), 'WIFI_AUTH_FAILED')
  await until(() => service.connected === 'Home')
  t.same(service.saved.sort(), ['Cafe', 'Home'])
  t.same(rolledBack, [])
})

void t.test('if the plugin stops while a change waits to be confirmed, NetworkManager undoes it', async (t) => {
  const { wifi, service, until } = await lab(t, { workSeconds: 1, confirmSeconds: 60 })
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  await until(() => wifi.status().connected)
  service.next.push('hangs at DHCP')
  const connect = code(wifi.connect({ ssid: 'Home', password }, overWifi().asker))
  await until(() => wifi.manager.device?.state === 70)
  wifi.stop()
  t.equal(await connect, 'WIFI_SUPERSEDED')
  t.equal(service.checkpoints, 1)
  await until(() => service.connected === 'Cafe')
})

void t.test('leaves its network, and forgets it', async (t) => {
  const { wifi, service, until } = await lab(t)
  await wifi.connect({ ssid: 'Home', password }, elsewhere)
  await until(() => wifi.status().connected)
  await wifi.disconnect(elsewhere)
  t.equal(service.connected, undefined)
  t.same(service.saved, ['Home'])
  await wifi.connect({ ssid: 'Home' }, elsewhere)
  await until(() => wifi.status().connected)
  await wifi.forget('Home', elsewhere)
  t.equal(service.connected, undefined)
  t.same(service.saved, [])
  const saved = service.save('Old', 'wpa-psk')
  await until(() => wifi.manager.objects.has(saved))
  await wifi.forget('Old', elsewhere)
  t.same(service.saved, [])
  t.equal(service.checkpoints, 0)
})

void t.test('a permission that is missing is named', async (t) => {
  const { wifi, service, until } = await lab(t)
  const missing = async (method: string, work: () => Promise<unknown>) => {
    service.denied.add(method)
    const error = (await work().catch((error: unknown) => error)) as {
      code: string
      message: string
      details: { action: string }
    }
    service.denied.delete(method)
    t.equal(error.code, 'WIFI_PERMISSION', method)
    t.match(error.message, error.details.action)
    return error.details.action.replace('org.freedesktop.NetworkManager.', '')
  }
  t.equal(await missing('RequestScan', () => wifi.scan()), 'wifi.scan')
  t.equal(await missing('CheckpointCreate', () => wifi.connect({ ssid: 'Cafe' }, elsewhere)), 'checkpoint-rollback')
  const join = () => wifi.connect({ ssid: 'Home', password }, elsewhere)
  t.equal(await missing('AddAndActivateConnection2', join), 'settings.modify.system')
  t.equal(await missing('Set', () => wifi.setRadio(false, elsewhere)), 'enable-disable-wifi')
  await join()
  await until(() => wifi.status().connected)
  t.equal(await missing('Disconnect', () => wifi.disconnect(elsewhere)), 'network-control')
  t.equal(await missing('Delete', () => wifi.forget('Home', elsewhere)), 'settings.modify.system')
  service.save('Cafe')
  await until(async () => (await wifi.saved()).length === 2)
  t.equal(await missing('ActivateConnection', () => wifi.connect({ ssid: 'Cafe' }, elsewhere)), 'network-control')
})

void t.test('a radio that is off, a device that is pulled and a service that goes each have their code, whenever', async (t) => {
  const { wifi, service, until } = await lab(t)
  const during = async (what: () => unknown) => {
    service.next.push('hangs at DHCP')
    const connect = code(wifi.connect({ ssid: 'Home', password }, elsewhere))
    await until(() => wifi.manager.device?.state === 70)
    await what()
    return connect
  }
  t.equal(await during(() => service.setRadio(false)), 'WIFI_RADIO_OFF')
  for (const work of [wifi.scan(), wifi.connect({ ssid: 'Cafe' }, elsewhere), wifi.disconnect(elsewhere)])
    t.equal(await code(work), 'WIFI_RADIO_OFF')
  await wifi.setRadio(true, elsewhere)
  await until(() => wifi.status().state === 'disconnected')
  service.setRadio(true, false)
  await until(() => !wifi.status().radio)
  t.equal(await code(wifi.scan()), 'WIFI_RADIO_OFF')
  t.equal(await code(wifi.setRadio(true, elsewhere)), 'WIFI_RADIO_OFF')
  service.setRadio(true)
  await until(() => wifi.status().radio)
  t.equal(await during(() => service.pull()), 'WIFI_DEVICE_REMOVED')
  t.equal(await code(wifi.scan()), 'WIFI_NO_DEVICE')
  t.match(wifi.status(), { connected: false, state: 'unavailable', radio: true })
  t.same(await wifi.networks(), [])
  service.addDevice().hear(standardPoints)
  await until(() => wifi.manager.device?.accessPoints.length === 5)
  t.equal(await during(() => service.stop()), 'WIFI_SERVICE_LOST')
  for (const work of [wifi.scan(), wifi.forget('Home', elsewhere), wifi.setRadio(true, elsewhere)])
    t.equal(await code(work), 'WIFI_SERVICE_LOST')
  await service.start()
  await until(() => wifi.manager.manager)
  await wifi.connect({ ssid: 'Cafe' }, elsewhere)
  t.equal(service.connected, 'Cafe')
})

void t.test('a scan is answered when the list is new, and says what hinders it', async (t) => {
  const { wifi, service, until } = await lab(t, { scanMs: 100 })
  await wifi.scan()
  service.scans = 'refused'
  const scan = wifi.scan()
  await until(() => service.calls.filter((call) => call.endsWith('RequestScan')).length === 2)
  service.scanned()
  await scan
  service.scans = 'never'
  t.equal(await code(wifi.scan()), 'WIFI_SCAN_FAILED')
  const hanging = code(wifi.scan())
  service.pull()
  t.equal(await hanging, 'WIFI_DEVICE_REMOVED')
})

void t.test('no scan while it joins a network', async (t) => {
  const { wifi, service, until } = await lab(t)
  service.next.push('hangs at DHCP')
  const connect = code(wifi.connect({ ssid: 'Cafe' }, elsewhere))
  await until(() => wifi.manager.device?.state === 70)
  t.equal(await code(wifi.scan()), 'WIFI_BUSY')
  wifi.stop()
  await connect
})

void t.test('with nobody who uses it nothing is kept, and profiles are read again when they change', async (t) => {
  const { wifi, service, until } = await lab(t)
  service.save('Home', 'wpa-psk')
  await until(async () => (await wifi.saved()).length === 1)
  service.update('Home', { '802-11-wireless-security': { 'key-mgmt': ['s', 'sae'] } })
  await until(async () => (await wifi.saved())[0]?.security === 'WPA3')
  const close = await wifi.manager.open()
  close()
  close()
  t.ok(wifi.manager.manager)
})
