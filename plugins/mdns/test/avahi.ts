import { defineInterface, type HandlerContext, type MessageBus } from 'dbus-native'
import type { PrivateBus } from '../../../test/support/bus.ts'

interface Group {
  readonly owner: string | undefined
  readonly path: string
  state: number
  service?: Announced
}

export interface Announced {
  readonly name: string
  readonly type: string
  readonly port: number
  readonly txt: readonly string[]
}

const named = (name: string, message: string) => Object.assign(new Error(message), { dbusName: `org.freedesktop.Avahi.${name}` })

/**
 * Stands in for avahi-daemon on a private bus: what the plugin calls of it, by its D-Bus interface files, with the manners of
 * avahi-daemon 0.8 as tried on Debian 12. A group belongs to the connection that made it and goes with it; a host name and a
 * service's name are settled after a while; a name that is taken here is refused at once, one taken elsewhere later.
 */
export class Avahi {
  hostName = 'testpi'
  /** Names that another machine has. */
  readonly takenElsewhere = new Set<string>()
  forbidsServices = false
  /** Fails a service of any name. */
  isBroken = false
  /** Every member that was called, such as `Commit`. */
  readonly calls: string[] = []
  readonly #bus: PrivateBus
  readonly #groups = new Map<string, Group>()
  readonly #listeners = new Set<() => void>()
  #client: MessageBus | undefined
  #asked = 0

  constructor(bus: PrivateBus) {
    this.#bus = bus
  }

  /** What the network sees. */
  get services(): Announced[] {
    return [...this.#groups.values()].flatMap(({ state, service }) => (state === 2 && service ? [service] : []))
  }

  /** Resolves when the network sees as many. */
  async sees(count: number): Promise<Announced[]> {
    while (this.services.length !== count) await new Promise<void>((resolve) => this.#listeners.add(resolve))
    return this.services
  }

  async start(): Promise<void> {
    const client = await this.#bus.client()
    this.#client = client
    this.#asked = 0
    await client.export('/', defineInterface({ name: 'org.freedesktop.Avahi.Server', methods: this.#server(client) }))
    await client.addMatch("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'")
    client.connection.on('message', ({ member, body = [] }) => {
      if (member === 'NameOwnerChanged' && body[2] === '') this.#drop(({ owner }) => owner === body[0])
    })
    await client.ownName('org.freedesktop.Avahi')
  }

  async stop(): Promise<void> {
    await this.#client?.close()
    this.#drop(() => true)
  }

  #drop(isMeant: (group: Group) => boolean): void {
    for (const group of this.#groups.values()) if (isMeant(group)) this.#groups.delete(group.path)
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  #server(client: MessageBus): Parameters<typeof defineInterface>[0]['methods'] & object {
    return {
      // the host name is being looked for, taken, looked for again, and had
      GetState: { out: { state: 'i' }, handler: () => this.#count('Server.GetState', [1, 3, 1, 2][this.#asked++] ?? 2) },
      GetHostName: { out: { name: 's' }, handler: () => this.hostName },
      GetHostNameFqdn: { out: { name: 's' }, handler: () => `${this.hostName}.local` },
      GetAlternativeServiceName: {
        in: { name: 's' },
        out: { name: 's' },
        handler: ({ name }: { name: string }) => {
          const [, base = name, number = '1'] = /^(.*) #(\d+)$/.exec(name) ?? []
          return this.#count('GetAlternativeServiceName', `${base} #${Number(number) + 1}`)
        },
      },
      EntryGroupNew: {
        out: { path: 'o' },
        handler: async (_args: object, { sender }: HandlerContext) => {
          if (this.forbidsServices) throw named('NotPermittedError', 'Not permitted')
          const group: Group = { owner: sender, path: `/Client0/EntryGroup${this.calls.length}`, state: 0 }
          this.#groups.set(group.path, group)
          const methods = this.#group(group)
          await client.export(group.path, defineInterface({ name: 'org.freedesktop.Avahi.EntryGroup', methods }))
          return this.#count('EntryGroupNew', group.path)
        },
      },
    }
  }

  #group(group: Group): Parameters<typeof defineInterface>[0]['methods'] & object {
    const check = (member: string, sender: string | undefined) => {
      this.calls.push(member)
      if (sender !== group.owner) throw named('AccessDeniedError', 'Access denied')
      if (!this.#groups.has(group.path)) throw named('BadStateError', 'No such group')
    }
    const plain = (member: string, work: () => unknown) => ({
      handler: (_args: object, { sender }: HandlerContext) => {
        check(member, sender)
        work()
        this.#tell()
      },
    })
    const hosts = {
      interface: 'i',
      protocol: 'i',
      flags: 'u',
      name: 's',
      type: 's',
      domain: 's',
      host: 's',
      port: 'q',
      txt: 'aay',
    }
    return {
      AddService: {
        in: hosts,
        handler: ({ name, type, port, txt }: Announced & { txt: unknown[] }, { sender }: HandlerContext) => {
          check('AddService', sender)
          if (this.services.some((service) => service.name === name)) throw named('CollisionError', 'Local name collision')
          group.service = { name, type, port, txt: txt.map((entry) => Buffer.from(entry as never).toString()) }
        },
      },
      Commit: plain('Commit', () => (group.state = 1)),
      Reset: plain('Reset', () => (group.state = 0)),
      Free: plain('Free', () => this.#groups.delete(group.path)),
      GetState: {
        out: { state: 'i' },
        handler: (_args: object, { sender }: HandlerContext) => {
          check('GetState', sender)
          const now = group.state
          const settled = this.isBroken ? 4 : this.takenElsewhere.has(group.service?.name ?? '') ? 3 : 2
          // one who asks early hears that it is under way
          if (now === 1) group.state = settled
          this.#tell()
          return now
        },
      },
    }
  }

  #count<T>(member: string, value: T): T {
    this.calls.push(member)
    return value
  }
}
