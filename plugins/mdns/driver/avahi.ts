import { setTimeout as delay } from 'node:timers/promises'

/** A call to Avahi on the system bus. Rejects with an Error that has a `dbusName`. */
export type Call = (request: {
  readonly path: string
  readonly interface: string
  readonly method: string
  readonly signature?: string
  readonly args?: readonly unknown[]
}) => Promise<unknown[]>

/** What listens on this machine, at every address. */
export interface Service {
  /** Such as `_http._tcp`. */
  readonly type: string
  readonly port: number
  /** Such as `path=/`. */
  readonly txt: readonly string[]
}

export interface Announcement {
  /** As Avahi made it unique on the network. */
  readonly name: string
  /** This machine's name there, such as `raspberrypi.local`. */
  readonly host: string
}

/** States of Avahi's server, and of a group of entries (avahi-common/defs.h). */
const [registering, running, collision] = [1, 2, 3]
/** Every interface, IPv4 and IPv6, no flags; the usual domain, this host. */
const [everywhere, usual] = [
  [-1, -1, 0],
  ['', ''],
]
const pauseMs = 200
/** Avahi asks the network for under a second whether a name is taken. */
const patienceMs = 10_000
const maxNames = 20
/** Bytes of a label of the DNS. */
const maxName = 63
type DBusFailure = Error & { readonly dbusName?: string }
const forbidden =
  'Avahi lets no program announce services: see disable-publishing and disable-user-service-publishing in /etc/avahi/avahi-daemon.conf.'

/** One service in Avahi. It belongs to the connection that announced it: Avahi withdraws it when that closes. */
export class Announcer {
  readonly #call: Call
  #group: string | undefined
  #host = ''

  constructor(call: Call) {
    this.#call = (request) => call(request).catch(explain)
  }

  /**
   * Announces a service instead of the last. The name is `<prefix> on <host>`, or another like it when that is taken. Rejects
   * with Avahi's error, with a sentence when Avahi is not done in time, and when the signal is aborted.
   */
  async announce(prefix: string, { type, port, txt }: Service, signal: AbortSignal): Promise<Announcement> {
    await this.withdraw()
    // A host name that is taken is Avahi's to mend; it registers again.
    await this.#settled(() => this.#server<number>('GetState'), [registering, collision], signal)
    const label = await this.#server<string>('GetHostName')
    const host = await this.#server<string>('GetHostNameFqdn')
    this.#host = host
    this.#group = await this.#server<string>('EntryGroupNew')
    let name = shorten(`${prefix} on ${label}`)
    for (let tries = 0; tries < maxNames; tries++) {
      const text = txt.map((entry) => Buffer.from(entry))
      try {
        await this.#entries('AddService', 'iiussssqaay', ...everywhere, name, type, ...usual, port, text)
        await this.#entries('Commit')
        const state = await this.#settled(() => this.#entries<number>('GetState'), [registering], signal)
        if (state === running) return { name, host }
        if (state !== collision) throw new Error('Avahi could not announce the service.')
      } catch (error) {
        // taken by a service of this very machine
        if ((error as DBusFailure).dbusName !== 'org.freedesktop.Avahi.CollisionError') throw error
      }
      name = await this.#server<string>('GetAlternativeServiceName', 's', name)
      await this.#entries('Reset')
    }
    throw new Error('Every name that Avahi proposes for the service is taken.')
  }

  /** Whether what was announced last still is, and with this machine's name of now. */
  async isStanding(): Promise<boolean> {
    if (this.#group === undefined) return false
    try {
      const [state, host] = [await this.#entries<number>('GetState'), await this.#server<string>('GetHostNameFqdn')]
      return state === running && host === this.#host
    } catch {
      return false // no such group: Avahi has started anew
    }
  }

  async withdraw(): Promise<void> {
    if (this.#group === undefined) return
    // an Avahi that went away took it along
    await this.#entries('Free').catch(() => undefined)
    this.#group = undefined
  }

  /** Resolves with the first state that is not one of these. Avahi tells of it by a signal, which the capability does not have. */
  async #settled(state: () => Promise<number>, passing: readonly number[], signal: AbortSignal): Promise<number> {
    for (const end = performance.now() + patienceMs; performance.now() < end; await delay(pauseMs, undefined, { signal })) {
      signal.throwIfAborted()
      const now = await state()
      if (!passing.includes(now)) return now
    }
    throw new Error(`Avahi has been looking for a free name for ${patienceMs / 1000} s.`)
  }

  async #server<T>(method: string, signature?: string, ...args: readonly unknown[]): Promise<T> {
    const about = { path: '/', interface: 'org.freedesktop.Avahi.Server', method }
    const [value] = await this.#call({ ...about, ...(signature && { signature, args }) })
    return value as T
  }

  async #entries<T>(method: string, signature?: string, ...args: readonly unknown[]): Promise<T> {
    const about = { path: this.#group as string, interface: 'org.freedesktop.Avahi.EntryGroup', method }
    const [value] = await this.#call({ ...about, ...(signature && { signature, args }) })
    return value as T
  }
}

/** To what fits into a label, without half a character at its end. */
function shorten(name: string): string {
  const bytes = Buffer.from(name)
  return bytes.length <= maxName ? name : new TextDecoder().decode(bytes.subarray(0, maxName)).replace(/\uFFFD$/, '')
}

function explain(error: DBusFailure): never {
  throw error.dbusName === 'org.freedesktop.Avahi.NotPermittedError' ? new Error(forbidden, { cause: error }) : error
}
