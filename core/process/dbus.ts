import { Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import type { Message, MessageBus } from 'dbus-native'
import type { DBus } from '../plugin/capabilities.ts'
import { watchDirectory } from './watch-directory.ts'

const daemon = 'org.freedesktop.DBus'
const signalType = 4
const rule = (member: string, more = '') => `type='signal',sender='${daemon}',interface='${daemon}',member='${member}'${more}`
const ownerRule = (name: string) => rule('NameOwnerChanged', `,arg0='${name}'`)
const busError = (name: string, message: string) => Object.assign(new Error(message), { dbusName: `${daemon}.Error.${name}` })

interface NameWatch {
  readonly name: string
  readonly listener: (present: boolean) => void
  present?: boolean
}

/**
 * The one connection to the system bus, for everybody in this process. It is open while somebody calls or watches, and
 * closed otherwise; a bus that went away is found again. Watching does not keep the process alive, calling does.
 */
export class SystemBus implements DBus {
  readonly #address: string
  readonly #watches = new Set<NameWatch>()
  #calls = 0
  #opened: Promise<MessageBus> | undefined
  #client: MessageBus | undefined
  #unwatchSocket: (() => void) | undefined
  #retry: NodeJS.Timeout | undefined
  #attempt = 0

  constructor(address = process.env.DBUS_SYSTEM_BUS_ADDRESS || 'unix:path=/run/dbus/system_bus_socket') {
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
        const send = (client: MessageBus) => client.invoke(message, { signal: ended.signal }, answer)
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
      return String((await this.#open()).name)
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
   * perhaps with the same answer, when the bus came or went or what it can start changed. Without a bus none is. The
   * listener must not throw.
   */
  watchName(name: string, listener: (present: boolean) => void): () => void {
    const watch: NameWatch = { name, listener }
    this.#watches.add(watch)
    this.#watchSocket()
    if (this.#client) this.#follow(this.#client, watch)
    else void this.#open()
    return () => {
      if (this.#watches.delete(watch)) void this.#client?.removeMatch(ownerRule(name))
      this.#closeIfIdle()
    }
  }

  /** Ends all watches; calls under way reject. */
  close(): void {
    this.#watches.clear()
    this.#client?.connection.stream.destroy()
    this.#closeIfIdle()
  }

  #closeIfIdle(): void {
    if (this.#watches.size > 0) return
    clearTimeout(this.#retry)
    this.#unwatchSocket?.()
    this.#unwatchSocket = undefined
    if (this.#calls > 0 || !this.#client) return
    this.#client.connection.stream.destroy()
    this.#opened = this.#client = undefined
  }

  #open(): Promise<MessageBus> {
    if (this.#opened) return this.#opened
    const opened = connect(this.#address)
    const lost = () => this.#lost()
    opened.then((client) => this.#use(client), lost)
    this.#opened = opened
    return opened
  }

  #use(client: MessageBus): void {
    this.#client = client
    this.#attempt = 0
    client.connection.on('close', () => this.#client === client && this.#lost())
    client.connection.on('message', (message: Message) => this.#hear(message))
    void client.addMatch(rule('ActivatableServicesChanged'))
    for (const watch of this.#watches) this.#follow(client, watch)
    this.#closeIfIdle()
  }

  /** With a callback, not a promise: a signal that came after the answer must not overtake it. */
  #follow(client: MessageBus, watch: NameWatch): void {
    void client.addMatch(ownerRule(watch.name))
    client.nameHasOwner(watch.name, (error, has) => this.#tell(watch, !error && has))
  }

  #hear({ type, sender, member, body = [] }: Message): void {
    // anyone may send us a signal of these names; the bus itself vouches for the sender
    if (type !== signalType || sender !== daemon) return
    for (const watch of this.#watches) {
      if (member === 'NameOwnerChanged' && body[0] === watch.name) this.#tell(watch, body[2] !== '')
      if (member === 'ActivatableServicesChanged' && watch.present !== undefined) this.#tell(watch, watch.present)
    }
  }

  #tell(watch: NameWatch, present: boolean): void {
    if (!this.#watches.has(watch)) return
    watch.present = present
    watch.listener(present)
  }

  #lost(): void {
    const wasOpen = this.#client !== undefined
    this.#opened = this.#client = undefined
    for (const watch of this.#watches) if (wasOpen || watch.present === undefined) this.#tell(watch, false)
    if (this.#watches.size > 0) this.#tryLater()
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

/** The capability: the services that the contract names. */
export function createDBus(bus: DBus, allowed: readonly string[]): DBus {
  const check = (service: string) => {
    if (!allowed.includes(service)) throw busError('AccessDenied', `The contract does not name the D-Bus service ${service}.`)
  }
  return {
    async call({ ...request }) {
      check(request.service)
      return bus.call(request)
    },
    watchName(service, listener) {
      check(service)
      return bus.watchName(service, listener)
    },
    uniqueName: () => bus.uniqueName(),
  }
}

/** Resolves when the bus has accepted us. The library's own greeting (hence `direct`) throws where nobody can catch it. */
async function connect(busAddress: string): Promise<MessageBus> {
  const { createClient } = await import('dbus-native')
  const shapes = { plainValues: true, variants: 'plain', returnBigInt: true } as const
  const client = createClient({ busAddress, direct: true, authMethods: ['EXTERNAL'], ...shapes })
  const { stream } = client.connection
  if (stream instanceof Socket) stream.unref()
  const destroy = (error: Error) => void stream.destroy(error)
  client.connection.on('error', destroy)
  // a message from anyone on the bus that the library stumbles over; without a listener it would end the process
  client.connection.on('handlerError', () => undefined)
  try {
    client.name = await client.invokeDbus<string>({ member: 'Hello' }, { timeout: 10_000 })
    return client
  } catch (error) {
    stream.destroy()
    const { code, message } = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw busError('Disconnected', `The system bus cannot be reached (${code ?? message}).`)
  }
}
