import type { Message, MessageBus } from 'dbus-native'
import type { PrivateBus } from '../../../test/support/bus.ts'

export const nm = 'org.freedesktop.NetworkManager'
const root = '/org/freedesktop/NetworkManager'
export const wlan0 = `${root}/Devices/3`
type Value = readonly [signature: string, value: unknown]
type Group = Record<string, Value>
type Has = Record<string, Group>

/** States that a device goes through, with their reasons, as NetworkManager 1.52 was seen to in the lab. */
export const scripts = {
  success: [[40], [50], [60], [40], [50], [70], [80], [90], [100]],
  'wrong password': [[40], [50], [60], [40], [50], [60, 8], [120, 7]],
  'not found': [[40], [50], [60], [40], [50], [120, 53]],
  'no DHCP': [[40], [50], [70], [120, 5]],
  supplicant: [[40], [50], [120, 11]],
  disconnected: [[40], [50], [110, 39], [30, 39]],
  odd: [[40], [120, 1]],
  'hangs associating': [[40], [50]],
  'hangs authenticating': [[40], [50], [60]],
  'hangs at DHCP': [[40], [50], [70]],
} as const satisfies Record<string, ReadonlyArray<readonly [number, number?]>>
export type Script = keyof typeof scripts

const named = (name: string, message: string) => Object.assign(new Error(message), { dbusName: `${nm}.${name}` })
const wire = (groups: Has) => Object.entries(groups).map(([name, group]) => [name, Object.entries(group)])

export interface Point {
  ssid: Buffer | string
  signal?: number
  frequency?: number
  flags?: number
  wpa?: number
  rsn?: number
  lastSeen?: number
}

/**
 * Stands in for NetworkManager on a private bus: what the plugin asks of it, with the manners of 1.52 as they were seen in the lab. It keeps
 * no secret that it is told; what it was asked is in `calls`.
 */
export class NetworkManagerStandIn {
  readonly calls: string[] = []
  /** How the next connects go, first to last; then all succeed. */
  readonly next: Script[] = []
  /** Methods that polkit does not allow. */
  readonly denied = new Set<string>()
  /** Passwords that it was given, for tests that look for them elsewhere. */
  readonly passwords: string[] = []
  /** What happens as a method is called, before it is answered. */
  readonly during = new Map<string, () => void>()
  scans: 'found' | 'never' | 'refused' = 'found'
  readonly #bus: PrivateBus
  readonly #objects = new Map<string, Has>()
  readonly #settings = new Map<string, Has>()
  readonly #checkpoints = new Map<string, { profile: string | undefined; before: Set<string>; timer: NodeJS.Timeout }>()
  #client: MessageBus | undefined
  #count = 0
  #run = 0

  constructor(bus: PrivateBus) {
    this.#bus = bus
    this.#objects.set(root, {
      [nm]: { WirelessEnabled: ['b', true], WirelessHardwareEnabled: ['b', true], Version: ['s', '1.52.1'] },
    })
  }

  async start(): Promise<this> {
    const client = await this.#bus.client({ plain: true })
    this.#client = client
    // the library would answer GetManagedObjects itself, from what it has been given to export
    const [library] = client.connection.listeners('message') as Array<(message: Message) => void>
    client.connection.removeAllListeners('message')
    client.connection.on('message', (message: Message) => {
      if (message.type === 1) void this.#answer(client, message)
      else library?.(message)
    })
    await client.ownName(nm)
    return this
  }

  /** As `systemctl stop` does: what it was about to do it forgets, checkpoints too. */
  async stop(): Promise<void> {
    this.#run++
    if (Number(this.#get(wlan0, `${nm}.Device`, 'State')) > 30) {
      this.#state(110, 3)
      this.#state(10, 3)
    }
    for (const [path, { timer }] of this.#checkpoints) {
      clearTimeout(timer)
      this.#checkpoints.delete(path)
    }
    await this.#client?.close()
    this.#client = undefined
    // what it begins with when it is back
    this.#dropActive()
    this.#state(30)
  }

  addDevice(name = 'wlan0'): this {
    this.add(wlan0, {
      [`${nm}.Device`]: {
        Interface: ['s', name],
        DeviceType: ['u', 2],
        State: ['u', 30],
        ActiveConnection: ['o', '/'],
        Ip4Config: ['o', '/'],
        Ip6Config: ['o', '/'],
      },
      [`${nm}.Device.Wireless`]: {
        ActiveAccessPoint: ['o', '/'],
        AccessPoints: ['ao', []],
        LastScan: ['x', 200_000n],
        Bitrate: ['u', 0],
      },
    })
    return this
  }

  /** The access points that are heard, instead of those before. */
  hear(points: readonly Point[]): this {
    const old = [...this.#objects.keys()].filter((path) => path.startsWith(`${root}/AccessPoint/`))
    const paths = points.map(({ ssid, signal = 80, frequency = 2437, flags = 0, wpa = 0, rsn = 0, lastSeen = 100 }, index) => {
      const path = `${root}/AccessPoint/${++this.#count}`
      this.add(path, {
        [`${nm}.AccessPoint`]: {
          Ssid: ['ay', Buffer.from(ssid as string)],
          HwAddress: [
            's',
            `02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 255).toString(16).padStart(2, '0')}`,
          ],
          Strength: ['y', signal],
          Frequency: ['u', frequency],
          Flags: ['u', flags],
          WpaFlags: ['u', wpa],
          RsnFlags: ['u', rsn],
          LastSeen: ['i', lastSeen],
        },
      })
      return path
    })
    this.set(wlan0, `${nm}.Device.Wireless`, { AccessPoints: ['ao', paths] })
    for (const path of old) this.remove(path)
    return this
  }

  /** A saved network. */
  save(ssid: string | Buffer, keyManagement?: string, more: Has = {}, flags = 0): string {
    const path = `${root}/Settings/${++this.#count}`
    const { connection, ...groups } = more
    this.#settings.set(path, {
      connection: {
        id: ['s', String(ssid)],
        type: ['s', '802-11-wireless'],
        timestamp: ['t', BigInt(this.#count)],
        ...connection,
      },
      '802-11-wireless': { ssid: ['ay', Buffer.from(ssid as string)], ...groups['802-11-wireless'] },
      ...(keyManagement && { '802-11-wireless-security': { 'key-mgmt': ['s', keyManagement] } }),
      ...Object.fromEntries(Object.entries(groups).filter(([name]) => name.startsWith('ip'))),
    })
    this.add(path, { [`${nm}.Settings.Connection`]: { Flags: ['u', flags], Filename: ['s', ''] } })
    return path
  }

  /** Names of the saved networks, without those that go after use. */
  get saved(): string[] {
    return [...this.#settings].flatMap(([path, { connection }]) =>
      this.#get(path, `${nm}.Settings.Connection`, 'Flags') === 4 ? [] : [String(connection?.id?.[1])],
    )
  }

  settingsOf(id: string): Has | undefined {
    return [...this.#settings.values()].find(({ connection }) => connection?.id?.[1] === id)
  }

  /** The name of the network that it is connected to. */
  get connected(): string | undefined {
    if (this.#get(wlan0, `${nm}.Device`, 'State') !== 100) return undefined
    const profile = this.#get(
      String(this.#get(wlan0, `${nm}.Device`, 'ActiveConnection')),
      `${nm}.Connection.Active`,
      'Connection',
    )
    return this.#settings.get(String(profile))?.connection?.id?.[1] as string | undefined
  }

  get checkpoints(): number {
    return this.#checkpoints.size
  }

  add(path: string, has: Has): void {
    this.#objects.set(path, { ...this.#objects.get(path), ...has })
    this.#say('/org/freedesktop', 'org.freedesktop.DBus.ObjectManager', 'InterfacesAdded', 'oa{sa{sv}}', path, wire(has))
  }

  remove(path: string): void {
    const has = this.#objects.get(path)
    this.#objects.delete(path)
    this.#settings.delete(path)
    if (has)
      this.#say('/org/freedesktop', 'org.freedesktop.DBus.ObjectManager', 'InterfacesRemoved', 'oas', path, Object.keys(has))
  }

  set(path: string, iface: string, changed: Group): void {
    const has = this.#objects.get(path)
    if (!has) return
    has[iface] = { ...has[iface], ...changed }
    this.#say(path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', iface, Object.entries(changed), [])
  }

  /** The radio is switched, as by a key. */
  setRadio(on: boolean, hardware = true): void {
    this.set(root, nm, { WirelessEnabled: ['b', on], WirelessHardwareEnabled: ['b', hardware] })
    if (!on || !hardware) {
      this.#run++
      this.#state(20, 0)
      this.#dropActive()
    } else this.#state(30, 0)
  }

  pull(): void {
    this.#run++
    this.#state(10, 36)
    this.remove(wlan0)
    this.#dropActive()
  }

  /** Another program joins another network. */
  async joinElsewhere(): Promise<void> {
    await this.#activate(this.save('Elsewhere'))
  }

  /** The profile was changed by another program. */
  update(id: string, more: Has): void {
    const [path, settings] = [...this.#settings].find(([, { connection }]) => connection?.id?.[1] === id) ?? []
    if (!path || !settings) throw new Error(`There is no ${id}.`)
    this.#settings.set(path, { ...settings, ...more })
    this.#say(path, `${nm}.Settings.Connection`, 'Updated', '')
  }

  #get(path: string, iface: string, name: string): unknown {
    return this.#objects.get(path)?.[iface]?.[name]?.[1]
  }

  #say(path: string, iface: string, member: string, signature: string, ...args: unknown[]): void {
    this.#client?.sendSignal(path, iface, member, signature, args)
  }

  #state(now: number, reason = 0): void {
    const before = this.#get(wlan0, `${nm}.Device`, 'State')
    if (before === undefined) return
    this.set(wlan0, `${nm}.Device`, { State: ['u', now] })
    this.#say(wlan0, `${nm}.Device`, 'StateChanged', 'uuu', now, before, reason)
  }

  async #answer(client: MessageBus, call: Message): Promise<void> {
    const { path = '', interface: iface = '', member = '', body = [] } = call
    const what = `${iface.replace(nm, '').replace(/^\./, '')}.${member}`.replace(/^\./, '')
    try {
      if (member === 'GetManagedObjects') {
        const objects = [...this.#objects].map(([at, has]) => [at, wire(has)])
        client.sendReply(call, 'a{oa{sa{sv}}}', [objects])
        return
      }
      this.calls.push(what)
      this.during.get(what)?.()
      if (this.denied.has(member)) throw named('PermissionDenied', 'Not authorized')
      const [signature, values, then] = await this.#do(what, path, body)
      client.sendReply(call, signature, values)
      then?.()
    } catch (error) {
      const { dbusName = 'org.freedesktop.DBus.Error.Failed', message } = error as Error & { dbusName?: string }
      client.sendError(call, dbusName, message)
    }
  }

  async #do(what: string, path: string, body: unknown[]): Promise<[signature: string, values: unknown[], then?: () => void]> {
    const profileOf = (at: string) => {
      const settings = this.#settings.get(at)
      if (!settings) throw Object.assign(new Error('gone'), { dbusName: 'org.freedesktop.DBus.Error.UnknownMethod' })
      return settings
    }
    switch (what) {
      case 'Settings.Connection.GetSettings':
        return ['a{sa{sv}}', [wire(profileOf(path))]]
      case 'Settings.Connection.Delete':
        profileOf(path)
        return ['', [], () => this.#delete(path)]
      case 'Settings.Connection.Save':
        this.set(path, `${nm}.Settings.Connection`, { Flags: ['u', 0] })
        return ['', []]
      case 'ActivateConnection': {
        profileOf(String(body[0]))
        const active = await this.#activate(String(body[0]), String(body[2]))
        return ['o', [active]]
      }
      case 'AddAndActivateConnection2': {
        if (body[2] !== '/' && !this.#objects.has(String(body[2])))
          throw named('Device.SpecificObjectNotFound', `The access point ${body[2]} was not in the scan list.`)
        const profile = this.#adopt(body[0] as Record<string, Record<string, unknown>>)
        const active = await this.#activate(profile, String(body[2]))
        return ['ooa{sv}', [profile, active, []]]
      }
      case 'Device.Disconnect':
        return ['', [], () => this.#leave(39)]
      case 'Device.Wireless.RequestScan':
        if (this.scans === 'refused') throw named('Device.NotAllowed', 'Scanning not allowed while already scanning')
        if (this.scans === 'found') setTimeout(() => this.scanned(), 5)
        return ['', []]
      case 'org.freedesktop.DBus.Properties.Set':
        return ['', [], () => this.setRadio(body[2] === true)]
      case 'CheckpointCreate': {
        if (this.#checkpoints.size > 0) throw named('InvalidArguments', 'a checkpoint for the device exists')
        const at = `${root}/Checkpoint/${++this.#count}`
        const active = String(this.#get(wlan0, `${nm}.Device`, 'ActiveConnection'))
        const profile = this.#get(active, `${nm}.Connection.Active`, 'Connection') as string | undefined
        const timer = setTimeout(() => this.#rollBack(at), Number(body[1]) * 1000)
        this.#checkpoints.set(at, { profile, before: new Set(this.#settings.keys()), timer })
        return ['o', [at]]
      }
      case 'CheckpointAdjustRollbackTimeout': {
        const checkpoint = this.#checkpoints.get(String(body[0]))
        if (!checkpoint) throw named('InvalidArguments', 'checkpoint does not exist')
        clearTimeout(checkpoint.timer)
        checkpoint.timer = setTimeout(() => this.#rollBack(String(body[0])), Number(body[1]) * 1000)
        return ['', []]
      }
      case 'CheckpointDestroy':
        clearTimeout(this.#checkpoints.get(String(body[0]))?.timer)
        if (!this.#checkpoints.delete(String(body[0]))) throw named('InvalidArguments', 'checkpoint does not exist')
        return ['', []]
      case 'CheckpointRollback':
        if (!this.#checkpoints.has(String(body[0]))) throw named('InvalidArguments', 'checkpoint does not exist')
        this.#rollBack(String(body[0]))
        return ['a{su}', [[[wlan0, 0]]]]
      default:
        throw Object.assign(new Error(`No ${what}`), { dbusName: 'org.freedesktop.DBus.Error.UnknownMethod' })
    }
  }

  scanned(): void {
    const last = this.#get(wlan0, `${nm}.Device.Wireless`, 'LastScan') as bigint
    this.set(wlan0, `${nm}.Device.Wireless`, { LastScan: ['x', last + 100_000n] })
  }

  /** Without the password. */
  #adopt(given: Record<string, Record<string, unknown>>): string {
    const { psk } = given['802-11-wireless-security'] ?? {}
    if (psk !== undefined) this.passwords.push(String(psk))
    const wireless = given['802-11-wireless'] as { ssid: Buffer; hidden?: boolean }
    const ip = ['ipv4', 'ipv6'].flatMap((name) =>
      given[name] ? [[name, { method: ['s', given[name].method] as Value }] as const] : [],
    )
    const hidden = wireless.hidden ? { '802-11-wireless': { hidden: ['b', true] as Value } } : {}
    const more = { ...hidden, ...Object.fromEntries(ip), connection: { id: ['s', given.connection?.id] as Value } }
    return this.save(wireless.ssid, given['802-11-wireless-security']?.['key-mgmt'] as string | undefined, more, 4)
  }

  #delete(path: string): void {
    const active = String(this.#get(wlan0, `${nm}.Device`, 'ActiveConnection'))
    if (this.#get(active, `${nm}.Connection.Active`, 'Connection') === path) this.#leave(38)
    this.remove(path)
  }

  #dropActive(): void {
    const active = String(this.#get(wlan0, `${nm}.Device`, 'ActiveConnection') ?? '/')
    this.set(wlan0, `${nm}.Device`, { ActiveConnection: ['o', '/'] })
    this.set(wlan0, `${nm}.Device.Wireless`, { ActiveAccessPoint: ['o', '/'] })
    for (const path of this.#objects.keys()) if (path === active || path.includes('/ActiveConnection/')) this.remove(path)
  }

  #leave(reason: number): void {
    this.#run++
    if (this.#get(wlan0, `${nm}.Device`, 'ActiveConnection') === '/') return
    this.#state(110, reason)
    this.#dropActive()
    this.#state(30, reason)
  }

  async #activate(profile: string, target = '/'): Promise<string> {
    this.#leave(60)
    const run = ++this.#run
    const active = `${root}/ActiveConnection/${++this.#count}`
    const devices = { Devices: ['ao', [wlan0]], SpecificObject: ['o', target] } as const
    this.add(active, { [`${nm}.Connection.Active`]: { Connection: ['o', profile], State: ['u', 1], ...devices } })
    this.set(wlan0, `${nm}.Device`, { ActiveConnection: ['o', active] })
    void this.#play(run, scripts[this.next.shift() ?? 'success'], active, profile)
    return active
  }

  async #play(run: number, steps: ReadonlyArray<readonly [number, number?]>, active: string, profile: string): Promise<void> {
    for (const [state, reason = 0] of steps) {
      await new Promise((resolve) => setTimeout(resolve, 2))
      if (run !== this.#run) return
      if (state === 100) this.#arrive(active, profile)
      if (state === 120 || state === 110) this.remove(active)
      this.#state(state, reason)
      if (state !== 120 && state !== 110) continue
      // a failed profile that was not saved removes itself
      if (this.#get(profile, `${nm}.Settings.Connection`, 'Flags') === 4) this.remove(profile)
      this.#leave(0)
    }
  }

  #arrive(active: string, profile: string): void {
    const ssid = this.#settings.get(profile)?.['802-11-wireless']?.ssid?.[1] as Buffer
    const point = [...this.#objects].find(([, has]) =>
      ssid.equals((has[`${nm}.AccessPoint`]?.Ssid?.[1] as Buffer) ?? Buffer.alloc(0)),
    )
    const config = `${root}/IP4Config/${++this.#count}`
    const address = [
      [
        ['address', ['s', '10.77.0.18']],
        ['prefix', ['u', 24]],
      ],
    ]
    this.add(config, {
      [`${nm}.IP4Config`]: {
        AddressData: ['aa{sv}', address],
        Gateway: ['s', '10.77.0.1'],
        NameserverData: ['aa{sv}', [[['address', ['s', '10.77.0.1']]]]],
      },
    })
    this.set(wlan0, `${nm}.Device`, { Ip4Config: ['o', config] })
    this.set(wlan0, `${nm}.Device.Wireless`, { ActiveAccessPoint: ['o', point?.[0] ?? '/'], Bitrate: ['u', 54_000] })
    this.set(active, `${nm}.Connection.Active`, { State: ['u', 2] })
  }

  #rollBack(at: string): void {
    const checkpoint = this.#checkpoints.get(at)
    if (!checkpoint) return
    clearTimeout(checkpoint.timer)
    this.#checkpoints.delete(at)
    const { profile, before } = checkpoint
    if (profile === undefined || !this.#settings.has(profile)) this.#leave(0)
    else void this.#activate(profile)
    for (const path of this.#settings.keys()) if (!before.has(path)) this.remove(path)
  }
}
