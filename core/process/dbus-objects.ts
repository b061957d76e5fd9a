import type { DBus, DBusSignal } from '../plugin/capabilities.ts'
import type { SystemBus } from './dbus.ts'

const manager = 'org.freedesktop.DBus.ObjectManager'
const most = { objects: 10_000, bytes: 16 * 2 ** 20, waitingBytes: 4 * 2 ** 20 }
const retryMs = { first: 500, last: 30_000 }

type Properties = Readonly<Record<string, unknown>>
type Tell = Parameters<DBus['watchObjects']>[2]

/** As `DBus.watchObjects`. */
export function watchObjects(
  bus: Pick<SystemBus, 'call' | 'onSignal' | 'watchOwner'>,
  service: string,
  options: Parameters<DBus['watchObjects']>[1],
  onChange: Tell,
): () => void {
  const view = new View(bus, options, onChange)
  const releases = [
    bus.onSignal(service, {}, (signal) => view.hear(signal)),
    bus.watchOwner(service, (owner) => view.follow(owner)),
    () => view.end(),
  ]
  return () => {
    for (const release of releases) release()
  }
}

/**
 * What one listener knows of a service's objects. Signals that come before the answer of GetManagedObjects are kept and applied after
 * it, in their order: whichever of them it includes, the last word on each property is the service's last word.
 */
class View {
  readonly #bus: Pick<SystemBus, 'call'>
  readonly #root: string
  readonly #interfaces: readonly string[]
  readonly #onChange: Tell
  readonly #objects = new Map<string, Map<string, Properties>>()
  readonly #sizes = new WeakMap<Properties, number>()
  #bytes = 0
  #owner: string | undefined
  /** Signals that wait for the answer. */
  #waiting: DBusSignal[] | undefined
  /** More than `most.waitingBytes`: they were too many, and the answer must be asked for again. */
  #waitingBytes = 0
  #changed = new Set<string>()
  #isTold = false
  #telling: NodeJS.Immediate | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(bus: Pick<SystemBus, 'call'>, { root = '/', interfaces }: Parameters<DBus['watchObjects']>[1], onChange: Tell) {
    this.#bus = bus
    this.#root = root
    this.#interfaces = interfaces
    this.#onChange = onChange
  }

  /** The service came, went or was replaced. */
  follow(owner: string | undefined): void {
    if (owner !== undefined && owner === this.#owner) return
    this.#owner = owner
    clearTimeout(this.#retry)
    for (const path of this.#objects.keys()) this.#remove(path)
    if (owner !== undefined) void this.#ask(owner, retryMs.first)
    if (owner === undefined || this.#changed.size > 0) this.#tellSoon()
  }

  hear(signal: DBusSignal): void {
    if (!this.#isOurs(signal)) return
    if (this.#waiting === undefined) {
      this.#apply(signal)
      return
    }
    this.#waitingBytes += sizeOf(signal.args)
    if (this.#waitingBytes <= most.waitingBytes) this.#waiting.push(signal)
    else this.#waiting.length = 0
  }

  end(): void {
    this.#owner = undefined
    clearTimeout(this.#retry)
    clearImmediate(this.#telling)
  }

  /** Asks this very connection, so that no other answers and nothing is started. */
  async #ask(owner: string, retryAfterMs: number): Promise<void> {
    const waiting: DBusSignal[] = []
    this.#waiting = waiting
    this.#waitingBytes = 0
    try {
      const [answer] = await this.#bus.call({ service: owner, path: this.#root, interface: manager, method: 'GetManagedObjects' })
      if (this.#owner !== owner) return
      if (this.#waitingBytes > most.waitingBytes) return void this.#ask(owner, retryAfterMs)
      for (const [path, interfaces] of Object.entries(answer as object)) this.#add(path, interfaces as object)
      this.#waiting = undefined
      for (const signal of waiting) this.#apply(signal)
      this.#tellSoon()
    } catch {
      // not there yet, or too busy
      if (this.#owner !== owner) return
      const again = () => void this.#ask(owner, Math.min(retryAfterMs * 2, retryMs.last))
      this.#retry = setTimeout(again, retryAfterMs).unref()
    }
  }

  #isOurs({ path, interface: iface, member, signature, args }: DBusSignal): boolean {
    if (iface === manager && path === this.#root)
      return member === 'InterfacesAdded' ? signature === 'oa{sa{sv}}' : member === 'InterfacesRemoved' && signature === 'oas'
    if (iface !== 'org.freedesktop.DBus.Properties' || member !== 'PropertiesChanged' || signature !== 'sa{sv}as') return false
    return this.#interfaces.includes(args[0] as string)
  }

  #apply({ path, member, args }: DBusSignal): void {
    if (member === 'InterfacesAdded') this.#add(args[0] as string, args[1] as object)
    else if (member === 'InterfacesRemoved') for (const iface of args[1] as string[]) this.#remove(args[0] as string, iface)
    else {
      const [iface, changed, gone] = args as [string, Properties, string[]]
      const properties = this.#objects.get(path)?.get(iface)
      if (!properties) return
      const now = { ...properties, ...changed }
      for (const name of gone) delete now[name]
      this.#set(path, iface, now)
    }
    this.#tellSoon()
  }

  #add(path: string, interfaces: object): void {
    for (const [iface, properties] of Object.entries(interfaces))
      if (this.#interfaces.includes(iface)) this.#set(path, iface, { ...(properties as Properties) })
  }

  /** Instead of what was there; for lack of room nothing is there afterwards. */
  #set(path: string, iface: string, properties: Properties): void {
    this.#remove(path, iface)
    const size = path.length + sizeOf(properties)
    if (this.#bytes + size > most.bytes || (!this.#objects.has(path) && this.#objects.size >= most.objects)) return
    this.#bytes += size
    this.#sizes.set(properties, size)
    // a new map, as a listener may hold the old one
    this.#objects.set(path, new Map(this.#objects.get(path)).set(iface, properties))
    this.#changed.add(path)
  }

  #remove(path: string, iface?: string): void {
    const object = this.#objects.get(path)
    const gone = iface === undefined ? [...(object?.keys() ?? [])] : [iface].filter((name) => object?.has(name))
    if (!object || gone.length === 0) return
    const rest = new Map(object)
    for (const name of gone) {
      this.#bytes -= this.#sizes.get(object.get(name) as Properties) ?? 0
      rest.delete(name)
    }
    if (rest.size > 0) this.#objects.set(path, rest)
    else this.#objects.delete(path)
    this.#changed.add(path)
  }

  /** Once for all that is in hand: a service with thousands of objects tells of each by itself. */
  #tellSoon(): void {
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined
      if (this.#isTold && this.#changed.size === 0) return
      this.#isTold = true
      const changed = this.#changed
      this.#changed = new Set()
      this.#onChange(this.#objects, changed)
    })
  }
}

/** About how many bytes a value takes. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return 16 + value.length * 2
  if (ArrayBuffer.isView(value)) return 96 + value.byteLength
  if (typeof value !== 'object' || value === null) return 8
  let size = 32
  for (const [key, each] of Object.entries(value)) size += key.length * 2 + sizeOf(each)
  return size
}
