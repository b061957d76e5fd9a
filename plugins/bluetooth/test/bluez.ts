import { defineInterface, type HandlerContext, type MessageBus } from 'dbus-native'
import type { PrivateBus } from '../../../test/support/bus.ts'

type Value = readonly [signature: string, value: unknown]
type Properties = Record<string, Value>

const [adapterInterface, deviceInterface] = ['org.bluez.Adapter1', 'org.bluez.Device1']

/** An error as BlueZ makes them. */
export const bluezError = (name: string, message = name) =>
  Object.assign(new Error(message), { dbusName: `org.bluez.Error.${name}` })

/** What the other device does; what it does not say succeeds. */
export interface Manners {
  readonly pair?: (bluez: Bluez, path: string) => Promise<unknown> | unknown
  readonly connect?: () => Promise<unknown> | unknown
}

interface Agent {
  readonly owner: string
  readonly path: string
  readonly capability: string
}

export const pathOf = (mac: string, adapter = 'hci0') => `/org/bluez/${adapter}/dev_${mac.replaceAll(':', '_')}`

/**
 * Stands in for bluetoothd on a private bus where the lab's radios cannot go: a device's side of a pairing is the test's. It has the
 * manners of bluetoothd 5.66 (src/adapter.c, src/device.c, src/agent.c): a discovery and an agent belong to the connection that asked
 * for them, an agent is asked one question at a time, what is cancelled is told to the agent too.
 */
export class Bluez {
  /** Why it does not stop to look for devices. */
  stopError = ''
  /** Every method that was called, such as `hci0.StartDiscovery`. */
  readonly calls: string[] = []
  agent: Agent | undefined
  readonly discoverers = new Set<string>()
  readonly #bus: PrivateBus
  readonly #objects = new Map<string, Map<string, Properties>>()
  readonly #descriptors = new WeakMap<Properties, ReturnType<typeof defineInterface>['descriptor']>()
  readonly #cancels = new Map<string, (error: Error) => void>()
  readonly #waiting = new Set<() => void>()
  #client: MessageBus | undefined

  constructor(bus: PrivateBus) {
    this.#bus = bus
  }

  async start(): Promise<this> {
    const client = await this.#bus.client()
    this.#client = client
    this.agent = undefined
    this.discoverers.clear()
    this.#objects.clear()
    await client.export('/org/bluez', defineInterface({ name: 'org.bluez.AgentManager1', methods: this.#agentManager() }))
    client.exportObjectManager('/')
    await client.addMatch("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'")
    client.connection.on('message', ({ member, body = [] }) => {
      if (member !== 'NameOwnerChanged' || body[2] !== '') return
      if (this.discoverers.delete(String(body[0]))) this.#discovering()
      if (this.agent?.owner === body[0]) this.agent = undefined
      this.#tell()
    })
    await client.ownName('org.bluez')
    return this
  }

  async stop(): Promise<void> {
    await this.#client?.close()
  }

  /** Resolves when it is so. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  async addAdapter(id = 'hci0', more: Properties = {}): Promise<void> {
    const path = `/org/bluez/${id}`
    const properties: Properties = {
      Address: ['s', `00:00:00:00:00:0${id.slice(3)}`],
      Alias: ['s', 'testpi'],
      Powered: ['b', true],
      Discoverable: ['b', false],
      Discovering: ['b', false],
      ...more,
    }
    const needPower = () => {
      if (!this.get(path, adapterInterface, 'Powered')) throw bluezError('NotReady', 'Resource Not Ready')
    }
    await this.#export(path, adapterInterface, properties, {
      StartDiscovery: (_, { sender = '' }) => {
        needPower()
        if (this.discoverers.has(sender)) throw bluezError('InProgress', 'Operation already in progress')
        this.discoverers.add(sender)
        this.#discovering()
      },
      StopDiscovery: (_, { sender = '' }) => {
        if (this.stopError) throw bluezError('Failed', this.stopError)
        if (!this.discoverers.delete(sender)) throw bluezError('Failed', 'No discovery started')
        this.#discovering()
      },
      RemoveDevice: {
        in: { device: 'o' },
        handler: ({ device }: { device: string }) => {
          if (!this.#objects.has(device)) throw bluezError('DoesNotExist', 'Does Not Exist')
          this.#cancel(device)
          this.remove(device)
        },
      },
    })
  }

  async addDevice(mac: string, more: Properties = {}, { pair, connect }: Manners = {}, adapter = 'hci0'): Promise<string> {
    const path = pathOf(mac, adapter)
    const properties: Properties = {
      Address: ['s', mac],
      Alias: ['s', mac.replaceAll(':', '-')],
      Paired: ['b', false],
      Connected: ['b', false],
      Trusted: ['b', false],
      Blocked: ['b', false],
      ServicesResolved: ['b', true],
      UUIDs: ['as', []],
      Adapter: ['o', `/org/bluez/${adapter}`],
      ...more,
    }
    const set = (name: string, value: boolean) => this.set(path, deviceInterface, { [name]: ['b', value] })
    await this.#export(path, deviceInterface, properties, {
      Pair: async () => {
        if (this.get(path, deviceInterface, 'Paired')) throw bluezError('AlreadyExists', 'Already Exists')
        if (this.#cancels.has(path)) throw bluezError('InProgress', 'In Progress')
        const cancelled = new Promise<never>((_, reject) => this.#cancels.set(path, reject))
        try {
          await Promise.race([pair?.(this, path), cancelled])
        } finally {
          this.#cancels.delete(path)
        }
        set('Paired', true)
      },
      CancelPairing: () => {
        if (!this.#cancels.has(path)) throw bluezError('DoesNotExist', 'Does Not Exist')
        this.#cancel(path)
      },
      Connect: async () => {
        if (this.get(path, deviceInterface, 'Connected')) throw bluezError('AlreadyConnected', 'Already Connected')
        await connect?.()
        set('Connected', true)
      },
      Disconnect: () => {
        if (!this.get(path, deviceInterface, 'Connected')) throw bluezError('NotConnected', 'Not Connected')
        set('Connected', false)
      },
    })
    return path
  }

  /** An object is gone, without a word from whoever it was. */
  remove(path: string): void {
    this.#objects.delete(path)
    this.#client?.unexportInterface(path)
  }

  get(path: string, iface: string, name: string): unknown {
    return this.#objects.get(path)?.get(iface)?.[name]?.[1]
  }

  /** Changes properties, or takes away those that are undefined, and tells. */
  set(path: string, iface: string, changes: Record<string, Value | undefined>): void {
    const properties = this.#objects.get(path)?.get(iface)
    if (!properties) return
    const [changed, gone]: [Array<[string, Value]>, string[]] = [[], []]
    for (const [name, value] of Object.entries(changes)) {
      if (value) changed.push([name, value])
      else gone.push(name)
      if (value) properties[name] = value
      else delete properties[name]
      if (!value) delete this.#descriptors.get(properties)?.properties?.[name]
    }
    this.#client?.sendSignal(path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', [iface, changed, gone])
    this.#tell()
  }

  /** A further interface of a device, such as `org.bluez.Battery1`. */
  async addInterface(path: string, iface: string, properties: Properties): Promise<void> {
    await this.#export(path, iface, properties, {})
  }

  /** Resolves when whoever has the agent has taken in all that was told before. */
  async heard(): Promise<void> {
    await this.until(() => this.agent !== undefined)
    await this.ask('Release', '')
  }

  /** Asks the agent, as bluetoothd does. Rejects with its refusal. */
  async ask<T = unknown>(method: string, signature: string, ...args: unknown[]): Promise<T> {
    if (!this.agent) throw bluezError('Failed', 'No agent')
    const { owner, path } = this.agent
    const message = { destination: owner, path, interface: 'org.bluez.Agent1', member: method, signature, body: args }
    return (this.#client as MessageBus).invoke<T>(message)
  }

  #cancel(path: string): void {
    const cancel = this.#cancels.get(path)
    if (!cancel) return
    cancel(bluezError('AuthenticationCanceled', 'Authentication Canceled'))
    if (this.agent) this.ask('Cancel', '').catch(() => undefined)
  }

  #discovering(): void {
    for (const path of this.#objects.keys())
      if (/^\/org\/bluez\/hci\d+$/.test(path)) this.set(path, adapterInterface, { Discovering: ['b', this.discoverers.size > 0] })
  }

  async #export(
    path: string,
    iface: string,
    properties: Properties,
    methods: NonNullable<Parameters<typeof defineInterface>[0]['methods']>,
  ): Promise<void> {
    this.#objects.set(path, new Map(this.#objects.get(path)).set(iface, properties))
    const counted = Object.entries(methods).map(([name, method]) => {
      const { handler, ...shape } = typeof method === 'function' ? { handler: method } : method
      const count = (args: object, context: HandlerContext) => {
        this.calls.push(`${path.split('/').at(-1)}.${name}`)
        this.#tell()
        return handler(args, context)
      }
      return [name, { ...shape, handler: count }] as const
    })
    const declared = Object.keys(properties).map((name) => {
      const type = (properties[name] as Value)[0]
      const set = (value: unknown) => {
        this.calls.push(`${path.split('/').at(-1)}.${name}=${String(value)}`)
        properties[name] = [type, value]
        if (name === 'Powered' && !value) this.discoverers.clear()
        if (name === 'Powered') this.#discovering()
        this.#tell()
      }
      return [name, { type, get: () => properties[name]?.[1], set }] as const
    })
    const definition = defineInterface({
      name: iface,
      methods: Object.fromEntries(counted),
      properties: Object.fromEntries(declared),
    })
    this.#descriptors.set(properties, definition.descriptor)
    await (this.#client as MessageBus).export(path, definition)
  }

  #agentManager(): NonNullable<Parameters<typeof defineInterface>[0]['methods']> {
    const agent = { path: 'o' }
    return {
      RegisterAgent: {
        in: { path: 'o', capability: 's' },
        handler: ({ path, capability }: { path: string; capability: string }, { sender: owner = '' }: HandlerContext) => {
          if (this.agent?.owner === owner) throw bluezError('AlreadyExists', 'Already Exists')
          this.agent = { owner, path, capability }
        },
      },
      RequestDefaultAgent: {
        in: agent,
        handler: () => {
          this.calls.push('RequestDefaultAgent')
          this.#tell()
        },
      },
      UnregisterAgent: {
        in: agent,
        handler: () => {
          this.agent = undefined
          this.#tell()
        },
      },
    }
  }

  #tell(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
