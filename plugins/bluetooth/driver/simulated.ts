import { setTimeout as delay } from 'node:timers/promises'
import type { Call } from './bluez.ts'
import type { Objects } from './objects.ts'
import type { Service } from './service.ts'

type Properties = Readonly<Record<string, unknown>>
/** Asks whoever pairs, through our own agent. */
type Ask = (method: string, ...args: unknown[]) => Promise<unknown>

const adapter = '/org/bluez/simulated'
const [adapterInterface, deviceInterface, batteryInterface] = ['org.bluez.Adapter1', 'org.bluez.Device1', 'org.bluez.Battery1']
/** Milliseconds. BlueZ forgets after 30 s who was not paired. */
const times = { appear: 600, strength: 1500, radio: 1200, key: 700, forget: 30_000, discoverable: 180_000 }

interface Model {
  readonly name: string
  /** Of device, as the Assigned Numbers have it. */
  readonly class: number
  readonly battery?: number
  readonly paired?: true
  /** What a person does with it while it is paired. */
  readonly pair: (ask: Ask, signal: AbortSignal) => Promise<void>
  /** How often it lets itself be connected to; it is out of reach in between. */
  readonly reachable?: (attempt: number) => boolean
}

const failed = (name: string, message: string) => Object.assign(new Error(message), { dbusName: `org.bluez.Error.${name}` })

/** Every way of pairing that there is, and a device that does not always answer. */
const models: readonly Model[] = [
  { name: 'Simulated headphones', class: 0x240404, battery: 80, paired: true, pair: async () => undefined },
  {
    name: 'Simulated phone',
    class: 0x5a020c,
    battery: 55,
    pair: async (ask) => void (await ask('RequestConfirmation', 271_828)),
  },
  {
    name: 'Simulated keyboard',
    class: 0x002540,
    async pair(ask, signal) {
      for (let entered = 0; entered <= 6; entered++) {
        await ask('DisplayPasskey', 161_803, entered)
        await delay(times.key, undefined, { signal })
      }
    },
  },
  {
    name: 'Simulated lock (its code is 314159)',
    class: 0x001f00,
    async pair(ask) {
      if ((await ask('RequestPasskey')) !== 314_159) throw failed('AuthenticationFailed', 'Authentication Failed')
    },
  },
  {
    name: 'Simulated speaker (answers every other time)',
    class: 0x240414,
    pair: async () => undefined,
    reachable: (attempt) => attempt % 2 === 0,
  },
]

const pathOf = (index: number) => `${adapter}/dev_02_00_00_00_00_0${index + 1}`

/** BlueZ with an adapter and devices that are not real: as much of it as the driver asks, at the pace of the real thing. */
export class SimulatedBluez implements Service {
  readonly #objects = new Map<string, ReadonlyMap<string, Properties>>()
  readonly #attempts = new Map<string, number>()
  #agent: Parameters<Service['serve']>[2] = {}
  #onObjects: (objects: Objects) => void = () => {}
  #pairing: AbortController | undefined
  #search: AbortController | undefined
  #hiding: NodeJS.Timeout | undefined
  #seen: NodeJS.Timeout | undefined

  constructor() {
    const name = { Alias: 'SIMULATED adapter', Address: '02:00:00:00:00:00' }
    this.#objects.set(adapter, new Map([[adapterInterface, { ...name, Powered: true, Discoverable: false, Discovering: false }]]))
    for (const [index, model] of models.entries()) if (model.paired) this.#show(index)
  }

  serve(_path: string, _interface: string, methods: Parameters<Service['serve']>[2]): () => void {
    this.#agent = methods
    return () => (this.#agent = {})
  }

  watchName(listener: (isRunning: boolean) => void): () => void {
    listener(true)
    return () => {}
  }

  watchObjects(_interfaces: readonly string[], onChange: (objects: Objects) => void): () => void {
    this.#onObjects = onChange
    onChange(this.#objects)
    return () => {
      this.#onObjects = () => {}
      this.#search?.abort()
      this.#pairing?.abort()
      clearTimeout(this.#hiding)
      clearTimeout(this.#seen)
    }
  }

  call: Call = async ({ path, method, args = [] }) => {
    await this.#do(path, method, args)
    return []
  }

  async #do(path: string, method: string, args: readonly unknown[]): Promise<void> {
    switch (method) {
      case 'Set':
        return this.#setProperty(path, String(args[1]), (args[2] as [string, boolean])[1])
      case 'StartDiscovery':
        return this.#startDiscovery()
      case 'StopDiscovery':
        return this.#stopDiscovery()
      case 'RemoveDevice':
        this.#pairing?.abort()
        return this.#remove(String(args[0]))
      case 'Pair':
        return this.#pair(path)
      case 'CancelPairing':
        return this.#pairing?.abort()
      case 'Connect':
        return this.#connect(path)
      case 'Disconnect':
        return this.#set(path, deviceInterface, { Connected: false })
    }
  }

  #get(path: string, iface: string): Properties {
    const found = this.#objects.get(path)?.get(iface)
    if (!found) throw failed('DoesNotExist', 'Does Not Exist')
    return found
  }

  #set(path: string, iface: string, changed: Properties): void {
    const all = { ...this.#get(path, iface), ...changed }
    this.#objects.set(path, new Map(this.#objects.get(path)).set(iface, all))
    this.#onObjects(this.#objects)
  }

  #remove(path: string): void {
    this.#get(path, deviceInterface)
    this.#objects.delete(path)
    this.#onObjects(this.#objects)
  }

  #show(index: number): void {
    const { name, class: deviceClass, battery, paired = false } = models[index] as Model
    const path = pathOf(index)
    const known = { Address: path.slice(-17).replaceAll('_', ':'), Alias: name, Class: deviceClass, UUIDs: [] }
    const standing = { Paired: paired, Trusted: paired, Connected: false, Blocked: false, ServicesResolved: true }
    const device: [string, Properties] = [deviceInterface, { ...known, ...standing }]
    this.#objects.set(path, new Map([device, ...(battery ? [[batteryInterface, { Percentage: battery }] as const] : [])]))
    this.#onObjects(this.#objects)
  }

  #setProperty(path: string, name: string, value: boolean): void {
    const iface = path === adapter ? adapterInterface : deviceInterface
    const isOff = name === 'Powered' && !value
    if (isOff) {
      this.#search?.abort()
      for (const device of this.#devices()) this.#set(device, deviceInterface, { Connected: false })
    }
    this.#set(path, iface, { [name]: value, ...(isOff && { Discovering: false }) })
    if (name !== 'Discoverable') return
    clearTimeout(this.#seen)
    if (value)
      this.#seen = setTimeout(() => this.#set(adapter, adapterInterface, { Discoverable: false }), times.discoverable).unref()
  }

  #devices(): string[] {
    return [...this.#objects.keys()].filter((path) => path !== adapter)
  }

  #startDiscovery(): void {
    if (this.#get(adapter, adapterInterface)['Powered'] !== true) throw failed('NotReady', 'Resource Not Ready')
    clearTimeout(this.#hiding)
    this.#search = new AbortController()
    this.#set(adapter, adapterInterface, { Discovering: true })
    void this.#discover(this.#search.signal).catch(() => undefined)
  }

  /** One device after the other is heard, each as strong as it happens to be. */
  async #discover(signal: AbortSignal): Promise<void> {
    for (const index of models.keys()) {
      await delay(times.appear, undefined, { signal })
      if (!this.#objects.has(pathOf(index))) this.#show(index)
      this.#set(pathOf(index), deviceInterface, { RSSI: strength(index) })
    }
    for (;;) {
      await delay(times.strength, undefined, { signal })
      for (const [index, path] of models.map((_, index) => [index, pathOf(index)] as const))
        if (this.#objects.has(path)) this.#set(path, deviceInterface, { RSSI: strength(index) })
    }
  }

  #stopDiscovery(): void {
    const isOver = this.#search?.signal.aborted
    this.#search?.abort()
    this.#set(adapter, adapterInterface, { Discovering: false })
    for (const path of this.#devices()) this.#set(path, deviceInterface, { RSSI: undefined })
    if (isOver) return
    this.#hiding = setTimeout(() => {
      for (const path of this.#devices()) if (!this.#get(path, deviceInterface)['Paired']) this.#remove(path)
    }, times.forget).unref()
  }

  async #pair(path: string): Promise<void> {
    const model = this.#model(path)
    this.#pairing = new AbortController()
    const { signal } = this.#pairing
    const cancelled = new Promise<never>((_, reject) => {
      const cancel = () => reject(failed('AuthenticationCanceled', 'Authentication Canceled'))
      signal.addEventListener('abort', cancel)
    })
    const ask: Ask = async (method, ...args) => this.#agent[method]?.handle([path, ...args], ':1.0')
    const course = async () => {
      await delay(times.radio)
      await model.pair(ask, signal)
    }
    await Promise.race([course(), cancelled])
    this.#set(path, deviceInterface, { Paired: true })
  }

  async #connect(path: string): Promise<void> {
    const { reachable = () => true } = this.#model(path)
    const attempt = (this.#attempts.get(path) ?? 0) + 1
    this.#attempts.set(path, attempt)
    await delay(times.radio)
    if (!reachable(attempt)) throw failed('Failed', 'br-connection-page-timeout')
    this.#set(path, deviceInterface, { Connected: true })
  }

  #model(path: string): Model {
    this.#get(path, deviceInterface)
    return models[Number(path.at(-1)) - 1] as Model
  }
}

/** dBm, within what a person walking about would see. */
const strength = (index: number) => -45 - 7 * index - Math.floor(Math.random() * 6)
