import { basename, dirname } from 'node:path'
import type { DBus, Served } from '../plugin/capabilities.ts'
import { busError, type Connection, connect } from './dbus-connection.ts'
import { watchObjects } from './dbus-objects.ts'
import { handleServed } from './dbus-served.ts'
import { daemon, Services } from './dbus-services.ts'
import { watchDirectory } from './watch-directory.ts'

/** What a capability is made of. */
export interface Bus extends DBus {
  /** As in `DBus`, to these services; to nobody if none is named. */
  serve(path: string, iface: string, methods: Served, services?: readonly string[]): () => void
}

/** Where D-Bus says that it is. */
export const systemBusAddress = (): string => process.env.DBUS_SYSTEM_BUS_ADDRESS || 'unix:path=/run/dbus/system_bus_socket'

/**
 * The one connection to the system bus, for everybody in this process. It is open while somebody calls or watches, and
 * closed otherwise; a bus that went away is found again. Watching does not keep the process alive, calling does.
 */
export class SystemBus implements Bus {
  readonly #address: string
  readonly #services = new Services()
  readonly #served = new Map<string, (connection: Connection) => () => void>()
  readonly #handled = new Map<string, () => void>()
  #calls = 0
  #opened: Promise<Connection> | undefined
  #connection: Connection | undefined
  #unwatchSocket: (() => void) | undefined
  #retry: NodeJS.Timeout | undefined
  #attempt = 0

  constructor(address = systemBusAddress()) {
    this.#address = address
  }

  /** As in `DBus`. Without a bus it rejects at once with `org.freedesktop.DBus.Error.Disconnected`; a later call tries anew. */
  async call({ service, path, interface: iface, method, signature, args = [], timeoutMs = 10_000 }: Parameters<DBus['call']>[0]) {
    const message = {
      destination: service,
      path,
      interface: iface,
      member: method,
      ...(signature && { signature, body: [...args] }),
    }
    // aborts the call, so that what still waits for the connection is not sent after its caller was told that it failed
    const ended = new AbortController()
    const deadline = setTimeout(() => ended.abort(), timeoutMs)
    this.#calls++
    try {
      return await new Promise<unknown[]>((resolve, reject) => {
        const late = () => reject(busError('NoReply', `${service} did not answer ${method} within ${timeoutMs} ms.`))
        const answer = (error: Error | null, ...values: unknown[]) => (error ? reject(error) : resolve(values))
        const refuse = (error: Error) => reject('dbusName' in error ? error : busError('InvalidArgs', error.message))
        ended.signal.addEventListener('abort', late)
        const send = (connection: Connection) => connection.call(message, ended.signal, answer)
        this.#open().then(send).catch(refuse)
      })
    } finally {
      clearTimeout(deadline)
      ended.abort()
      this.#calls--
      this.#closeIfIdle()
    }
  }

  /** As in `DBus`. It is another when the connection was lost, or closed for want of use. */
  async uniqueName(): Promise<string> {
    this.#calls++
    try {
      return (await this.#open()).name
    } finally {
      this.#calls--
      this.#closeIfIdle()
    }
  }

  /** Whether a service of this name is running, or a call would start it. */
  async isAvailable(name: string): Promise<boolean> {
    const about = { service: daemon, path: '/org/freedesktop/DBus', interface: daemon }
    const [running] = await this.call({ ...about, method: 'NameHasOwner', signature: 's', args: [name] })
    const [startable] = running ? [[name]] : await this.call({ ...about, method: 'ListActivatableNames' })
    return (startable as string[]).includes(name)
  }

  /**
   * Tells whether a service of this name is running: first as soon as it is known, then at every change, and again,
   * perhaps with the same answer, when the bus came or went or what it can start changed. Without a bus none is.
   */
  watchName(name: string, listener: (present: boolean) => void): () => void {
    return this.watchOwner(name, (owner) => listener(owner !== undefined))
  }

  /** The same, with the unique name of whoever has the service's. */
  watchOwner(name: string, listener: (owner: string | undefined) => void): () => void {
    return this.#keepOpen(this.#services.watch(name, listener))
  }

  /** As in `DBus`. */
  onSignal(...[service, filter, listener]: Parameters<DBus['onSignal']>): () => void {
    return this.#keepOpen(this.#services.listen(service, filter, listener))
  }

  /** As in `DBus`. */
  watchObjects(...[service, options, onChange]: Parameters<DBus['watchObjects']>): () => void {
    return watchObjects(this, service, options, onChange)
  }

  /** As in `Bus`. */
  serve(path: string, iface: string, methods: Served, services: readonly string[] = []): () => void {
    const what = `${iface} at ${path}`
    if (this.#served.has(what)) throw new Error(`${what} is served already.`)
    const follows = services.map((service) => this.#services.watch(service, () => undefined))
    const serviceOf = (sender: string) => services.find((service) => this.#services.ownerOf(service) === sender)
    const handle = (connection: Connection) => handleServed(connection, path, iface, methods, serviceOf)
    this.#served.set(what, handle)
    if (this.#connection) this.#handled.set(what, handle(this.#connection))
    return this.#keepOpen(() => {
      if (this.#served.get(what) !== handle) return
      this.#served.delete(what)
      this.#handled.get(what)?.()
      this.#handled.delete(what)
      for (const unfollow of follows) unfollow()
    })
  }

  /** Ends all watches; calls under way reject. */
  close(): void {
    this.#services.clear()
    this.#served.clear()
    this.#connection?.close()
    this.#closeIfIdle()
  }

  /** The connection opens, and stays open until this is released. */
  #keepOpen(release: () => void): () => void {
    this.#watchSocket()
    if (!this.#connection) void this.#open()
    return () => {
      release()
      this.#closeIfIdle()
    }
  }

  get #isWanted(): boolean {
    return this.#services.size + this.#served.size > 0
  }

  #closeIfIdle(): void {
    if (this.#isWanted) return
    clearTimeout(this.#retry)
    this.#unwatchSocket?.()
    this.#unwatchSocket = undefined
    if (this.#calls > 0 || !this.#connection) return
    this.#connection.close()
    this.#opened = this.#connection = undefined
    this.#services.clear()
  }

  #open(): Promise<Connection> {
    if (this.#opened) return this.#opened
    const opened = connect(this.#address, {
      onSignal: (signal) => this.#services.hear(signal),
      onClose: () => this.#opened === opened && this.#lost(),
    })
    const lost = () => this.#lost()
    opened.then((connection) => this.#use(connection), lost)
    this.#opened = opened
    return opened
  }

  #use(connection: Connection): void {
    this.#connection = connection
    this.#attempt = 0
    this.#services.use(connection)
    for (const [what, handle] of this.#served) this.#handled.set(what, handle(connection))
    this.#closeIfIdle()
  }

  #lost(): void {
    this.#opened = this.#connection = undefined
    this.#services.lose()
    if (this.#isWanted) this.#tryLater()
  }

  /**
   * A lost bus is tried again when its socket comes or changes, and after delays that double without end: a socket may be
   * there before anyone listens on it, and may stay while the bus behind it is replaced.
   */
  #tryLater(): void {
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#open(), 50 * 2 ** Math.min(this.#attempt++, 20)).unref()
  }

  #watchSocket(): void {
    const [, socket] = /^unix:path=([^,;]+)/.exec(this.#address) ?? []
    if (!socket) return
    this.#unwatchSocket ??= watchDirectory(dirname(socket), (entry = basename(socket)) => {
      if (entry !== basename(socket)) return
      this.#attempt = 0
      this.#tryLater()
    })
  }
}
