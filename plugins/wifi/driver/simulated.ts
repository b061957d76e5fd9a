import { uptime } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bus, Objects, Properties } from './bus.ts'
import type { Settings, Wire } from './profiles.ts'

type Request = Parameters<Bus['call']>[0]
type Signal = Parameters<Bus['onSignal']>[1]

const nm = 'org.freedesktop.NetworkManager'
const root = '/org/freedesktop/NetworkManager'
/** Its name is none of this machine's: nobody's connection runs over it. */
const [device, deviceName] = [`${root}/Devices/1`, 'simulated0']
const [deviceInterface, wireless] = [`${nm}.Device`, `${nm}.Device.Wireless`]
const [activeInterface, profileInterface] = [`${nm}.Connection.Active`, `${nm}.Settings.Connection`]
/** Milliseconds, as they were seen in the lab: a scan, a step of a connect, and until a failure is told. */
const times = { scan: 3000, step: 350, failure: 3000 }
/** NM80211ApSecurityFlags. */
const [psk, enterprise, sae] = [0x188, 0x288, 0x488]
/** NMSettingsConnectionFlags: it goes when it is no longer used. */
const volatileFlag = 4

interface Network {
  readonly ssid: string
  readonly signal: number
  /** MHz. */
  readonly frequency: number
  readonly security?: number
  readonly password?: string
  readonly hidden?: true
  /** Whether it is in reach in this scan. */
  readonly isHere?: (scan: number) => boolean
  /** It gives nobody an address. */
  readonly mute?: true
}

const air: readonly Network[] = [
  { ssid: 'Simulated home', signal: 82, frequency: 5180, security: psk, password: '12345678' },
  { ssid: 'Simulated office, key 87654321', signal: 64, frequency: 5955, security: sae, password: '87654321' },
  { ssid: 'Simulated cafe, key 12345678', signal: 51, frequency: 2437, security: psk, password: '12345678' },
  { ssid: 'Simulated guests', signal: 47, frequency: 2412 },
  { ssid: 'Simulated campus', signal: 40, frequency: 5240, security: enterprise },
  { ssid: 'Simulated bus', signal: 33, frequency: 2462, isHere: (scan) => scan % 2 === 1 },
  { ssid: 'Simulated lift', signal: 22, frequency: 2422, mute: true },
  { ssid: 'Simulated hidden', signal: 45, frequency: 2427, security: psk, password: '12345678', hidden: true },
]

interface Checkpoint {
  readonly profile: string | undefined
  readonly before: ReadonlySet<string>
  timer: NodeJS.Timeout
}

const refused = (name: string, message: string) => Object.assign(new Error(message), { dbusName: `${nm}.${name}` })

/** NetworkManager with a device and networks that are not real: as much of it as the driver asks, at the pace of the real one. */
export class SimulatedNetworkManager implements Bus {
  readonly #objects = new Map<string, ReadonlyMap<string, Properties>>()
  readonly #settings = new Map<string, Settings>()
  readonly #checkpoints = new Map<string, Checkpoint>()
  readonly #watchers = new Set<Parameters<Bus['watchObjects']>[1]>()
  readonly #listeners = new Set<Signal>()
  /** The passwords that it was told, by profile. */
  readonly #passwords = new Map<string, string>()
  readonly #signal: AbortSignal
  #count = 0
  #scans = 0
  /** Of the connect that counts: an older one ends. */
  #run = 0

  /** Nothing happens any more once `signal` is aborted. */
  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => {
      this.#run++
      for (const { timer } of this.#checkpoints.values()) clearTimeout(timer)
    })
    this.#set(root, nm, { WirelessEnabled: true, WirelessHardwareEnabled: true })
    this.#set(device, deviceInterface, { Interface: deviceName, DeviceType: 2, State: 30, ActiveConnection: '/', Ip4Config: '/' })
    this.#set(device, wireless, { ActiveAccessPoint: '/', AccessPoints: [], LastScan: -1n, Bitrate: 0 })
    this.#scanned()
    const home = this.#save(Buffer.from('Simulated home'), 'wpa-psk', false, 0)
    this.#passwords.set(home, '12345678')
    this.#activate(home)
  }

  onSignal({ member }: Parameters<Bus['onSignal']>[0], listener: Signal): () => void {
    if (member === 'StateChanged') this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  watchObjects(_options: unknown, onChange: (objects: Objects, changed: ReadonlySet<string>) => void): () => void {
    this.#watchers.add(onChange)
    onChange(this.#objects, new Set(this.#objects.keys()))
    return () => void this.#watchers.delete(onChange)
  }

  async call({ path, method, args = [] }: Request): Promise<unknown[]> {
    switch (method) {
      case 'GetSettings':
        return [this.#settingsOf(path)]
      case 'Delete':
        this.#settingsOf(path)
        if (this.#profile === path) this.#leave(38)
        this.#remove(path)
        return []
      case 'Save':
        this.#set(path, profileInterface, { Flags: 0 })
        return []
      case 'ActivateConnection':
        this.#settingsOf(String(args[0]))
        return [this.#activate(String(args[0]))]
      case 'AddAndActivateConnection2': {
        const profile = this.#adopt(args[0] as Wire)
        return [profile, this.#activate(profile), {}]
      }
      case 'Disconnect':
        this.#leave(39)
        return []
      case 'RequestScan':
        this.#after(times.scan).then(
          () => this.#scanned(),
          () => undefined,
        )
        return []
      case 'Set':
        this.#setRadio((args[2] as [string, boolean])[1])
        return []
      case 'CheckpointCreate':
        return [this.#createCheckpoint(Number(args[1]))]
      default:
        this.#changeCheckpoint(String(args[0]), method, Number(args[1]))
        return []
    }
  }

  /** Rejects when all is over. */
  #after(ms: number): Promise<void> {
    return delay(ms, undefined, { ref: false, signal: this.#signal })
  }

  #get(path: string, iface: string): Properties {
    return this.#objects.get(path)?.get(iface) ?? {}
  }

  #set(path: string, iface: string, changed: Properties): void {
    this.#objects.set(path, new Map(this.#objects.get(path)).set(iface, { ...this.#get(path, iface), ...changed }))
    this.#tell(path)
  }

  #remove(path: string): void {
    this.#objects.delete(path)
    this.#settings.delete(path)
    this.#passwords.delete(path)
    this.#tell(path)
  }

  #tell(...changed: string[]): void {
    for (const watcher of [...this.#watchers]) watcher(this.#objects, new Set(changed))
  }

  #settingsOf(path: string): Settings {
    const settings = this.#settings.get(path)
    if (settings) return settings
    throw Object.assign(new Error('It is gone.'), { dbusName: 'org.freedesktop.DBus.Error.UnknownMethod' })
  }

  get #active(): string {
    return String(this.#get(device, deviceInterface)['ActiveConnection'])
  }

  /** What it is connected by. */
  get #profile(): string | undefined {
    return this.#get(this.#active, activeInterface)['Connection'] as string | undefined
  }

  #state(now: number, reason = 0): void {
    const before = this.#get(device, deviceInterface)['State']
    this.#set(device, deviceInterface, { State: now })
    for (const listener of [...this.#listeners]) listener({ path: device, signature: 'uuu', args: [now, before, reason] })
  }

  /** What is in reach is heard anew, each as strong as it happens to be. */
  #scanned(): void {
    this.#scans++
    const heard = air.filter(({ isHere = () => true }) => isHere(this.#scans))
    const paths = heard.map((network) => {
      const path = `${root}/AccessPoint/${air.indexOf(network) + 1}`
      const { ssid, hidden, signal, frequency, security = 0 } = network
      // One that hides its name is known by it to who has joined.
      const isTold = !hidden || this.#get(device, wireless)['ActiveAccessPoint'] === path
      const name = { Ssid: Buffer.from(isTold ? ssid : ''), HwAddress: `02:00:00:00:01:0${air.indexOf(network)}` }
      const Strength = Math.min(100, signal + Math.round(Math.random() * 8) - 4)
      const about = { Frequency: frequency, Flags: security ? 1 : 0, WpaFlags: 0, RsnFlags: security }
      this.#set(path, `${nm}.AccessPoint`, { ...name, ...about, Strength, LastSeen: Math.floor(uptime()) })
      return path
    })
    for (const path of this.#objects.keys())
      if (path.startsWith(`${root}/AccessPoint/`) && !paths.includes(path)) this.#remove(path)
    this.#set(device, wireless, { AccessPoints: paths, LastScan: BigInt(Math.round(uptime() * 1000)) })
  }

  #save(ssid: Buffer, keyManagement: unknown, hidden: unknown, flags: number): string {
    const path = `${root}/Settings/${++this.#count}`
    this.#settings.set(path, {
      connection: { id: String(ssid), timestamp: Math.floor(Date.now() / 1000) },
      '802-11-wireless': { ssid, hidden },
      ...(keyManagement !== undefined && { '802-11-wireless-security': { 'key-mgmt': keyManagement } }),
    })
    this.#set(path, profileInterface, { Flags: flags })
    return path
  }

  #adopt(wire: Wire): string {
    const value = (group: string, key: string) =>
      wire.find(([name]) => name === group)?.[1].find(([name]) => name === key)?.[1][1]
    const security = (key: string) => value('802-11-wireless-security', key)
    const ssid = value('802-11-wireless', 'ssid') as Buffer
    const profile = this.#save(ssid, security('key-mgmt'), value('802-11-wireless', 'hidden'), volatileFlag)
    this.#passwords.set(profile, String(security('psk') ?? ''))
    return profile
  }

  #activate(profile: string): string {
    this.#leave(60)
    const run = ++this.#run
    const active = `${root}/ActiveConnection/${++this.#count}`
    this.#set(active, activeInterface, { Connection: profile, State: 1 })
    this.#set(device, deviceInterface, { ActiveConnection: active })
    void this.#play(run, active, profile)
    return active
  }

  /** The states of a connect, which ends as the network has it. */
  async #play(run: number, active: string, profile: string): Promise<void> {
    const ssid = this.#settingsOf(profile)['802-11-wireless']?.['ssid'] as Buffer
    const network = air.find((one) => ssid.equals(Buffer.from(one.ssid)))
    const isThere = network?.isHere?.(this.#scans) !== false && network
    const isLetIn = (network?.password ?? '') === (this.#passwords.get(profile) ?? '')
    const rest = network?.mute ? [[70]] : [[60], [70], [80], [90], [100]]
    const steps = [[40], [50], ...(!isThere ? [[120, 53]] : isLetIn ? rest : [[60], [120, 7]])] as Array<[number, number?]>
    for (const [state, reason] of steps) {
      await this.#after(state === 120 ? times.failure : times.step).catch(() => undefined)
      if (run !== this.#run) return
      if (state === 100 && network) this.#arrive(active, network)
      if (state === 120) this.#remove(active)
      this.#state(state, reason)
    }
    if (steps.at(-1)?.[0] !== 120) return
    // A profile that failed and was not saved removes itself.
    if (this.#get(profile, profileInterface)['Flags'] === volatileFlag) this.#remove(profile)
    this.#leave(0)
  }

  #arrive(active: string, network: Network): void {
    const config = `${root}/IP4Config/1`
    // Addresses for documentation (RFC 5737).
    const [AddressData, Gateway, NameserverData] = [
      [{ address: '192.0.2.18', prefix: 24 }],
      '192.0.2.1',
      [{ address: '192.0.2.1' }],
    ]
    this.#set(config, `${nm}.IP4Config`, { AddressData, Gateway, NameserverData })
    this.#set(device, deviceInterface, { Ip4Config: config })
    const accessPoint = `${root}/AccessPoint/${air.indexOf(network) + 1}`
    this.#set(accessPoint, `${nm}.AccessPoint`, { Ssid: Buffer.from(network.ssid) })
    this.#set(device, wireless, { ActiveAccessPoint: accessPoint, Bitrate: 130_000 })
    this.#set(active, activeInterface, { State: 2 })
  }

  #leave(reason: number): void {
    this.#run++
    const active = this.#active
    if (active === '/') return
    this.#state(110, reason)
    this.#set(device, deviceInterface, { ActiveConnection: '/', Ip4Config: '/' })
    this.#set(device, wireless, { ActiveAccessPoint: '/', Bitrate: 0 })
    this.#remove(active)
    this.#state(30, reason)
  }

  #setRadio(on: boolean): void {
    this.#set(root, nm, { WirelessEnabled: on })
    if (!on) this.#leave(0)
    this.#state(on ? 30 : 20)
  }

  #createCheckpoint(seconds: number): string {
    if (this.#checkpoints.size > 0) throw refused('InvalidArguments', 'a checkpoint for the device exists')
    const path = `${root}/Checkpoint/${++this.#count}`
    const checkpoint = { profile: this.#profile, before: new Set(this.#settings.keys()), timer: this.#later(path, seconds) }
    this.#checkpoints.set(path, checkpoint)
    return path
  }

  #later(path: string, seconds: number): NodeJS.Timeout {
    return setTimeout(() => this.#changeCheckpoint(path, 'CheckpointRollback'), seconds * 1000).unref()
  }

  #changeCheckpoint(path: string, method: string, seconds = 0): void {
    const checkpoint = this.#checkpoints.get(path)
    if (!checkpoint) throw refused('InvalidArguments', 'checkpoint does not exist')
    clearTimeout(checkpoint.timer)
    if (method === 'CheckpointAdjustRollbackTimeout') checkpoint.timer = this.#later(path, seconds)
    else this.#checkpoints.delete(path)
    if (method !== 'CheckpointRollback') return
    const { profile, before } = checkpoint
    if (profile === undefined || !this.#settings.has(profile)) this.#leave(0)
    else this.#activate(profile)
    for (const made of this.#settings.keys()) if (!before.has(made)) this.#remove(made)
  }
}
