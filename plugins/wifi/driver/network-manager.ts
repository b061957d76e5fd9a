import type { Bus, Objects, Properties } from './bus.ts'
import { refusal, WifiError } from './failure.ts'
import { type Profile, profileOf, type Settings, type Wire } from './profiles.ts'

const root = '/org/freedesktop/NetworkManager'
const nm = 'org.freedesktop.NetworkManager'
const profileInterface = `${nm}.Settings.Connection`
const interfaces = ['', '.Device', '.Device.Wireless', '.AccessPoint', '.Connection.Active', '.IP4Config', '.IP6Config']
const wifiType = 2
/** NMSettingsConnectionFlags: it goes when it is no longer used. */
const volatileFlag = 4
const mostProfiles = 1000
/** What one sweep over the channels takes: for what is heard in it, and up to its end. */
const sweepSeconds = { atOnce: 3, inAll: 15 }

/** A Wi-Fi device, as it is now. */
export interface Device {
  readonly path: string
  readonly name: string
  /** NMDeviceState: 20 unavailable, 30 disconnected, 40 to 90 connecting, 100 connected, 120 failed. */
  readonly state: number
  /** Of the active connection; `/` for none. */
  readonly active: string
  readonly accessPoint: string
  readonly accessPoints: readonly string[]
  /** Milliseconds of CLOCK_BOOTTIME; -1 for never. */
  readonly lastScan: bigint
  readonly properties: Properties
  readonly wireless: Properties
}

/** NetworkManager over D-Bus: what it has, kept current while somebody uses it, and what it is told to do. */
export class NetworkManager {
  readonly #bus: Bus
  readonly #listeners = new Set<() => void>()
  readonly #profiles = new Map<string, Promise<Profile | undefined>>()
  #objects: Objects = new Map()
  #users = 0
  #opened: Promise<void> | undefined
  #release: () => void = () => {}

  constructor(bus: Bus) {
    this.#bus = bus
  }

  /** Objects are kept current until the function is called; resolves when they are known. */
  async open(): Promise<() => void> {
    this.#users++
    this.#opened ??= this.#watch()
    await this.#opened
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#users > 0) return
      this.#release()
      this.#opened = undefined
      this.#objects = new Map()
      this.#profiles.clear()
    }
  }

  /** Told after every change of the objects or of the profiles. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when `isSo` gives something; rejects with what it throws, and with the signal's reason. */
  async until<T>(isSo: () => T | undefined, signal: AbortSignal): Promise<T> {
    const now = isSo()
    if (now !== undefined) return now
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        unlisten()
        signal.removeEventListener('abort', abort)
        settle()
      }
      const look = () => {
        try {
          const found = isSo()
          if (found !== undefined) end(() => resolve(found))
        } catch (error) {
          end(() => reject(error))
        }
      }
      const abort = () => end(() => reject(signal.reason))
      const unlisten = this.onChange(look)
      signal.addEventListener('abort', abort)
      if (signal.aborted) abort()
    })
  }

  get objects(): Objects {
    return this.#objects
  }

  /** Of NetworkManager itself; undefined while it is away. */
  get manager(): Properties | undefined {
    return this.#objects.get(root)?.get(nm)
  }

  /** The Wi-Fi device that is in use, or else the first that NetworkManager manages. */
  get device(): Device | undefined {
    const devices = [...this.#objects.keys()].flatMap((path) => this.deviceAt(path) ?? [])
    return devices.sort((a, b) => b.state - a.state || (a.name < b.name ? -1 : 1)).find(({ state }) => state > 10)
  }

  deviceAt(path: string): Device | undefined {
    const [properties, wireless] = [this.#get(path, '.Device'), this.#get(path, '.Device.Wireless')]
    if (properties?.DeviceType !== wifiType || !wireless) return undefined
    return {
      path,
      name: String(properties.Interface),
      state: Number(properties.State),
      active: String(properties.ActiveConnection),
      accessPoint: String(wireless.ActiveAccessPoint),
      accessPoints: (wireless.AccessPoints ?? []) as string[],
      lastScan: BigInt((wireless.LastScan as bigint | undefined) ?? -1n),
      properties,
      wireless,
    }
  }

  /**
   * Whether an access point of this name was among what was heard last. One that has gone stays in NetworkManager's list for minutes;
   * but others are heard later than it, and scans end later.
   */
  isHeard(device: string, ssid: Buffer): boolean {
    const { accessPoints = [], lastScan = -1n } = this.deviceAt(device) ?? {}
    const points = accessPoints.map((path): Properties => this.#get(path, '.AccessPoint') ?? {})
    const seen = Math.max(
      -1,
      ...points.map(({ Ssid, LastSeen }) => (Ssid instanceof Uint8Array && ssid.equals(Ssid) ? Number(LastSeen) : -1)),
    )
    const latest = Math.max(-1, ...points.map(({ LastSeen }) => Number(LastSeen)))
    return seen >= 0 && latest - seen <= sweepSeconds.atOnce && Number(lastScan) / 1000 - seen <= sweepSeconds.inAll
  }

  /** All saved Wi-Fi networks; not those that NetworkManager drops after use. */
  async profiles(): Promise<Profile[]> {
    const paths = [...this.#objects].filter(([, has]) => !isVolatile(has.get(profileInterface))).map(([path]) => path)
    const all = await Promise.all(paths.slice(0, mostProfiles).map((path) => this.#profile(path)))
    return all.flatMap((profile) => profile ?? [])
  }

  /** Which profile an active connection is made of. */
  profileOfActive(active: string): string | undefined {
    const path = this.#get(active, '.Connection.Active')?.Connection
    return path === undefined ? undefined : String(path)
  }

  /** Of an active connection (NMActiveConnectionState); undefined if there is none such. */
  activeState(active: string): number | undefined {
    const state = this.#get(active, '.Connection.Active')?.State
    return state === undefined ? undefined : Number(state)
  }

  /** Tells of every change of a device's state (NMDeviceState, NMDeviceStateReason). */
  onState(device: string, listener: (state: number, reason: number) => void): () => void {
    return this.#bus.onSignal({ path: device, interface: `${nm}.Device`, member: 'StateChanged' }, ({ signature, args }) => {
      if (signature === 'uuu') listener(Number(args[0]), Number(args[2]))
    })
  }

  async requestScan(device: string): Promise<void> {
    await this.#call('wifi.scan', device, '.Device.Wireless', 'RequestScan', 'a{sv}', [])
  }

  /** The active connection's path. `target` is an access point, or `/` for any. */
  async activate(profile: string, device: string, target: string): Promise<string> {
    const [active] = await this.#call('network-control', root, '', 'ActivateConnection', 'ooo', profile, device, target)
    return String(active)
  }

  /** The new profile vanishes unless it is saved. */
  async addAndActivate(settings: Wire, device: string, target: string): Promise<{ profile: string; active: string }> {
    const args = [settings, device, target, [['persist', ['s', 'volatile']]]]
    const action = 'settings.modify.system'
    const [profile, active] = await this.#call(action, root, '', 'AddAndActivateConnection2', 'a{sa{sv}}ooa{sv}', ...args)
    return { profile: String(profile), active: String(active) }
  }

  async disconnect(device: string): Promise<void> {
    await this.#call('network-control', device, '.Device', 'Disconnect')
  }

  async saveProfile(profile: string): Promise<void> {
    await this.#call('settings.modify.system', profile, '.Settings.Connection', 'Save')
  }

  async deleteProfile(profile: string): Promise<void> {
    await this.#call('settings.modify.system', profile, '.Settings.Connection', 'Delete')
  }

  async setWireless(on: boolean): Promise<void> {
    const args = [nm, 'WirelessEnabled', ['b', on]]
    await this.#call('enable-disable-wifi', root, 'org.freedesktop.DBus.Properties', 'Set', 'ssv', ...args)
  }

  /** NetworkManager puts the device back as it is now unless it is told otherwise in time. 2: and deletes profiles made since. */
  async createCheckpoint(device: string, seconds: number): Promise<string> {
    const [path] = await this.#call('checkpoint-rollback', root, '', 'CheckpointCreate', 'aouu', [device], seconds, 2)
    return String(path)
  }

  /** Counted from now. */
  async extendCheckpoint(checkpoint: string, seconds: number): Promise<void> {
    await this.#call('checkpoint-rollback', root, '', 'CheckpointAdjustRollbackTimeout', 'ou', checkpoint, seconds)
  }

  async destroyCheckpoint(checkpoint: string): Promise<void> {
    await this.#call('checkpoint-rollback', root, '', 'CheckpointDestroy', 'o', checkpoint)
  }

  async rollBack(checkpoint: string): Promise<void> {
    await this.#call('checkpoint-rollback', root, '', 'CheckpointRollback', 'o', checkpoint)
  }

  /** `action` is the polkit action that it needs, without NetworkManager's prefix. */
  async #call(
    action: string,
    path: string,
    iface: string,
    method: string,
    signature?: string,
    ...args: unknown[]
  ): Promise<unknown[]> {
    const about = { path, interface: iface.startsWith('org.') ? iface : nm + iface, method }
    try {
      return await this.#bus.call({ ...about, ...(signature && { signature, args }) })
    } catch (error) {
      throw refusal(error, action)
    }
  }

  #get(path: string, iface: string): Properties | undefined {
    return this.#objects.get(path)?.get(nm + iface)
  }

  #profile(path: string): Promise<Profile | undefined> {
    const known = this.#profiles.get(path)
    if (known) return known
    const asked = this.#bus.call({ path, interface: profileInterface, method: 'GetSettings' }).then(
      ([settings]) => profileOf(path, settings as Settings),
      () => undefined, // gone again, or another user's
    )
    this.#profiles.set(path, asked)
    return asked
  }

  #watch(): Promise<void> {
    const tell = () => {
      for (const listener of [...this.#listeners]) listener()
    }
    const unlisten = this.#bus.onSignal({ interface: profileInterface, member: 'Updated' }, ({ path }) => {
      this.#profiles.delete(path)
      tell()
    })
    return new Promise((resolve) => {
      const options = { root: '/org/freedesktop', interfaces: [...interfaces.map((name) => nm + name), profileInterface] }
      const unwatch = this.#bus.watchObjects(options, (objects, changed) => {
        this.#objects = objects
        for (const path of changed) if (!objects.has(path)) this.#profiles.delete(path)
        resolve()
        tell()
      })
      this.#release = () => {
        unlisten()
        unwatch()
        resolve()
      }
    })
  }
}

function isVolatile(profile: Properties | undefined): boolean {
  return profile === undefined || (Number(profile.Flags) & volatileFlag) !== 0
}

/** It is there, it may transmit, and NetworkManager too; else why not. */
export function ready(manager: NetworkManager): Device {
  if (!manager.manager) throw new WifiError('WIFI_SERVICE_LOST')
  if (manager.manager.WirelessHardwareEnabled === false)
    throw new WifiError('WIFI_RADIO_OFF', 'The radio is switched off by a switch of the machine, or by rfkill.')
  if (manager.manager.WirelessEnabled === false) throw new WifiError('WIFI_RADIO_OFF')
  const { device } = manager
  if (!device) throw new WifiError('WIFI_NO_DEVICE')
  return device
}
