import { agent, agentMethods } from './agent.ts'
import { Bluez, type Call } from './bluez.ts'
import type { Answer } from './dialogue.ts'
import { Discovery } from './discovery.ts'
import { Failure, hasStopped } from './failure.ts'
import { type Adapter, adapterOf, type Device, devicesOf, type Objects } from './objects.ts'
import { Pairing, type PairingRequest, type pairingLimits } from './pairing.ts'
import { type Block, rfkillOf } from './rfkill.ts'

export interface BluetoothOptions {
  readonly call: Call
  /** `hci1` or an address; empty for the first. */
  readonly adapter: string
  /** Milliseconds that a wish to scan lives. */
  readonly scanMs: number
  /** Something of what the getters tell is otherwise now. */
  readonly onChange: () => void
  /** A device was refused, that nobody here had asked for. */
  readonly onRefusal: (device: Device | undefined, what: 'pairing' | 'service') => void
  /** Both for tests. */
  readonly sysfs?: string
  readonly pairingLimits?: typeof pairingLimits
}

const connectMs = 18_000

/** The machine's Bluetooth, through one adapter. What it is told of BlueZ's objects it shows; what it is asked for it has BlueZ do. */
export class Bluetooth {
  readonly discovery: Discovery
  /** What BlueZ asks us, for `DBus.serve`. */
  readonly agent = { ...agent, methods: agentMethods(this.#household()) }
  block: Block = 'none'
  readonly #bluez: Bluez
  readonly #options: BluetoothOptions
  #objects: Objects = new Map()
  #wasDiscovering = false
  #pairing: Pairing | undefined
  #connecting = new Set<string>()

  constructor(options: BluetoothOptions) {
    this.#options = options
    this.#bluez = new Bluez(options.call)
    this.discovery = new Discovery({ start: () => this.#startDiscovery(), stop: () => this.#stopDiscovery() }, options.scanMs)
  }

  get adapter(): Adapter | undefined {
    return adapterOf(this.#objects, this.#options.adapter)
  }

  get devices(): Device[] {
    const { adapter } = this
    return adapter ? devicesOf(this.#objects, adapter) : []
  }

  /** BlueZ's objects of now: the same map as before, or another. */
  see(objects: Objects): void {
    this.#objects = objects
    const { powered = false, discovering = false } = this.adapter ?? {}
    if (!powered || (this.#wasDiscovering && !discovering)) this.discovery.lost()
    this.#wasDiscovering = discovering
    if (!powered || this.block !== 'none') void this.lookForBlock()
    this.#options.onChange()
  }

  /** Becomes the agent that BlueZ asks; after every start of BlueZ. */
  async register(): Promise<void> {
    await this.#bluez.register(agent)
  }

  async stop(): Promise<void> {
    try {
      await this.discovery.stop()
    } finally {
      await this.#bluez.unregister(agent).catch(() => undefined)
    }
  }

  /** Whether rfkill keeps the adapter off: the kernel does not tell when that changes. */
  async lookForBlock(): Promise<Block> {
    const { adapter } = this
    const block = adapter ? await rfkillOf(adapter.id, this.#options.sysfs) : 'none'
    if (block !== this.block) {
      this.block = block
      this.#options.onChange()
    }
    return block
  }

  async power(on: boolean): Promise<void> {
    await this.#bluez.set(this.#needAdapter().path, 'Powered', on).catch(async (error: Failure) => {
      throw (await this.#blocked()) ?? error
    })
  }

  async discoverable(on: boolean): Promise<void> {
    const { path } = await this.#needPower()
    await this.#bluez.set(path, 'Discoverable', on)
  }

  /** Resolves when it is paired, also if it was before. One at a time: BlueZ asks its agent one question at a time. */
  async pair(mac: string, request: Omit<PairingRequest, 'adapter' | 'device'>): Promise<void> {
    const { path: adapter } = await this.#needPower()
    const { paired, path: device } = this.#need(mac)
    if (paired) return
    if (this.#pairing) throw new Failure('BT_IN_PROGRESS')
    const look = () => this.devices.find(({ path }) => path === device)
    const pairing = new Pairing(this.#bluez, { ...request, adapter, device }, look, this.#options.pairingLimits)
    this.#pairing = pairing
    try {
      await pairing.run()
    } finally {
      this.#pairing = undefined
    }
  }

  /** What the person who pairs says to a question. */
  answer(user: string, id: string, answer: Answer): void {
    const dialogue = this.#pairing?.dialogue
    if (dialogue?.person.user !== user || !dialogue.answer(id, answer)) throw new Failure('BT_NO_QUESTION')
  }

  async unpair(mac: string): Promise<void> {
    const { path } = this.#needAdapter()
    const device = this.#needPaired(mac)
    await this.#bluez.remove(path, device.path)
  }

  async connect(mac: string, signal: AbortSignal): Promise<void> {
    await this.#needPower()
    const { path, connected, blocked } = this.#needPaired(mac)
    if (connected) return
    if (blocked) throw new Failure('BT_DEVICE_BLOCKED')
    const giveUp = () => void this.#bluez.device(path, 'Disconnect').catch(() => undefined)
    signal.addEventListener('abort', giveUp)
    this.#connecting.add(path)
    try {
      await this.#bluez.device(path, 'Connect', connectMs)
    } catch (error) {
      // BlueZ would go on trying after we have said that it failed
      if ((error as Failure).code === 'BT_UNREACHABLE') giveUp()
      throw error
    } finally {
      this.#connecting.delete(path)
      signal.removeEventListener('abort', giveUp)
    }
  }

  async disconnect(mac: string): Promise<void> {
    const { path, connected } = this.#need(mac)
    if (!connected) throw new Failure('BT_NOT_CONNECTED')
    await this.#bluez.device(path, 'Disconnect')
  }

  async trust(mac: string, trusted: boolean): Promise<void> {
    await this.#bluez.set(this.#needPaired(mac).path, 'Trusted', trusted)
  }

  #household(): Parameters<typeof agentMethods>[0] {
    const find = (device: string) => this.devices.find(({ path }) => path === device)
    return {
      pairing: () => this.#pairing,
      isWelcome: (path) => {
        const { paired, trusted, blocked } = find(path) ?? {}
        if (!paired || blocked) return false
        return trusted || this.#connecting.has(path) || (this.#pairing?.device === path && this.#pairing.dialogue.hadNumber)
      },
      refused: (path, what) => this.#options.onRefusal(find(path), what),
    }
  }

  async #stopDiscovery(): Promise<void> {
    try {
      if (this.adapter) await this.#bluez.adapter(this.adapter.path, 'StopDiscovery')
    } catch (error) {
      if (!hasStopped(error)) throw error
    }
  }

  async #startDiscovery(): Promise<void> {
    const { path } = await this.#needPower()
    await this.#bluez.adapter(path, 'StartDiscovery').catch((failure: Failure) => {
      if (failure.code !== 'BT_IN_PROGRESS') throw failure
    })
  }

  #needAdapter(): Adapter {
    if (this.adapter) return this.adapter
    throw new Failure('BT_NO_ADAPTER')
  }

  async #needPower(): Promise<Adapter> {
    const adapter = this.#needAdapter()
    if (adapter.powered) return adapter
    throw (await this.#blocked()) ?? new Failure('BT_POWERED_OFF')
  }

  async #blocked(): Promise<Failure | undefined> {
    const block = await this.lookForBlock()
    if (block === 'none') return undefined
    return new Failure(
      'BT_BLOCKED_BY_RFKILL',
      block === 'hard' ? 'Bluetooth is switched off by a switch on the machine.' : undefined,
    )
  }

  #need(mac: string): Device {
    const device = this.devices.find((each) => each.mac === mac.toUpperCase())
    if (device) return device
    throw new Failure('BT_DEVICE_NOT_FOUND')
  }

  #needPaired(mac: string): Device {
    const device = this.#need(mac)
    if (device.paired) return device
    throw new Failure('BT_NOT_PAIRED')
  }
}
