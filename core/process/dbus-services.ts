import type { DBusSignal, SignalFilter } from '../plugin/capabilities.ts'
import type { Connection, Incoming } from './dbus-connection.ts'

export const daemon = 'org.freedesktop.DBus'
const fromDaemon = `type='signal',sender='${daemon}',interface='${daemon}'`
const ownerRule = (name: string) => `${fromDaemon},member='NameOwnerChanged',arg0='${name}'`
const signalRule = (name: string) => `type='signal',sender='${name}'`

interface OwnerWatch {
  readonly listener: (owner: string | undefined) => void
  isTold: boolean
}

interface SignalWatch {
  readonly filter: SignalFilter
  readonly listener: (signal: DBusSignal) => void
}

/** A service that somebody follows: who has its name, and who listens to it. */
class Service {
  readonly name: string
  /** Unique name of the connection that has the service's. */
  owner: string | undefined
  isKnown = false
  readonly watches = new Set<OwnerWatch>()
  readonly listeners = new Set<SignalWatch>()

  constructor(name: string) {
    this.name = name
  }
}

/** The services that are followed in this process, and what the bus says of them. On the bus each costs one rule, or two with listeners. */
export class Services {
  readonly #services = new Map<string, Service>()
  #connection: Connection | undefined

  get size(): number {
    return this.#services.size
  }

  /** Its unique name, while somebody follows it. */
  ownerOf(name: string): string | undefined {
    return this.#services.get(name)?.owner
  }

  /** As `DBus.watchName`, with the unique name of whoever has it. */
  watch(name: string, listener: OwnerWatch['listener']): () => void {
    const service = this.#follow(name)
    const watch = { listener, isTold: false }
    service.watches.add(watch)
    if (service.isKnown) queueMicrotask(() => !watch.isTold && this.#tell(service, watch))
    return () => {
      service.watches.delete(watch)
      this.#leave(service)
    }
  }

  listen(name: string, filter: SignalFilter, listener: SignalWatch['listener']): () => void {
    const service = this.#follow(name)
    const watch = { filter, listener }
    if (service.listeners.size === 0) this.#connection?.addMatch(signalRule(name))
    service.listeners.add(watch)
    return () => {
      if (service.listeners.delete(watch) && service.listeners.size === 0) this.#connection?.removeMatch(signalRule(name))
      this.#leave(service)
    }
  }

  /** Asks a new connection for everything. */
  use(connection: Connection): void {
    this.#connection = connection
    connection.addMatch(`${fromDaemon},member='ActivatableServicesChanged'`)
    for (const service of this.#services.values()) this.#ask(service, connection)
  }

  /** The bus went, or could not be reached: then only those are told who know nothing yet. */
  lose(): void {
    const wasOpen = this.#connection !== undefined
    this.#connection = undefined
    for (const service of this.#services.values()) if (wasOpen || !service.isKnown) this.#settle(service, undefined)
  }

  clear(): void {
    for (const { watches, listeners } of this.#services.values()) for (const each of [watches, listeners]) each.clear()
    this.#services.clear()
    this.#connection = undefined
  }

  hear(signal: Incoming): void {
    // anyone may send us a signal of these names; the bus itself vouches for the sender
    if (signal.sender === daemon) this.#hearDaemon(signal)
    for (const { owner, listeners } of this.#services.values()) {
      if (owner !== signal.sender) continue
      for (const { filter, listener } of listeners) if (fits(signal, filter)) guarded(() => listener(signal))
    }
  }

  #hearDaemon({ member, args }: Incoming): void {
    const changed = member === 'NameOwnerChanged' ? this.#services.get(String(args[0])) : undefined
    if (changed) this.#settle(changed, String(args[2]) || undefined)
    if (member !== 'ActivatableServicesChanged') return
    for (const service of this.#services.values()) if (service.isKnown) this.#settle(service, service.owner)
  }

  #follow(name: string): Service {
    const known = this.#services.get(name)
    if (known) return known
    const service = new Service(name)
    this.#services.set(name, service)
    if (this.#connection) this.#ask(service, this.#connection)
    return service
  }

  /** In this order, so that no signal of the service comes before its owner is known. */
  #ask(service: Service, connection: Connection): void {
    const { name } = service
    connection.addMatch(ownerRule(name))
    const about = { destination: daemon, path: '/org/freedesktop/DBus', interface: daemon }
    connection.call({ ...about, member: 'GetNameOwner', signature: 's', body: [name] }, undefined, (error, owner) => {
      // lost meanwhile, or followed anew
      if (this.#connection === connection && this.#services.get(name) === service)
        this.#settle(service, error ? undefined : String(owner))
    })
    if (service.listeners.size > 0) connection.addMatch(signalRule(name))
  }

  #leave(service: Service): void {
    if (service.watches.size + service.listeners.size > 0 || this.#services.get(service.name) !== service) return
    this.#services.delete(service.name)
    this.#connection?.removeMatch(ownerRule(service.name))
  }

  #settle(service: Service, owner: string | undefined): void {
    service.owner = owner
    service.isKnown = true
    for (const watch of service.watches) this.#tell(service, watch)
  }

  #tell(service: Service, watch: OwnerWatch): void {
    if (!service.watches.has(watch)) return
    watch.isTold = true
    guarded(() => watch.listener(service.owner))
  }
}

function fits(signal: Incoming, { path, interface: iface, member }: SignalFilter): boolean {
  if (iface !== undefined && iface !== signal.interface) return false
  if (member !== undefined && member !== signal.member) return false
  return path === undefined || path === signal.path || signal.path.startsWith(path === '/' ? path : `${path}/`)
}

/** What a listener throws is nobody else's trouble: it is thrown where the process traces it to a plugin. */
function guarded(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
