import { uptime } from 'node:os'
import type { Network } from './networks.ts'
import type { Status } from './status.ts'
import type { Saved, Wifi } from './wifi.ts'

/** Milliseconds: signal strengths change all the time, and a list this old is looked for anew while somebody watches. */
const [pauseMs, freshMs] = [1000, 30_000]

export interface Tell {
  status(status: Status): void
  networks(networks: Network[]): void
  saved(saved: Saved[]): void
}

/** Tells of what changes, no more than once a second, and keeps the list of networks fresh; until it is stopped. */
export class Keeper {
  readonly #wifi: Wifi
  readonly #tell: Tell
  readonly #told = new Map<string, string>()
  readonly #unlisten: () => void
  #pause: NodeJS.Timeout | undefined
  #rescan: NodeJS.Timeout | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #isStopped = false
  #showing = Promise.resolve()

  constructor(wifi: Wifi, tell: Tell) {
    this.#wifi = wifi
    this.#tell = tell
    this.#unlisten = wifi.manager.onChange(() => {
      this.#keepFresh()
      this.#pause ??= setTimeout(() => void this.show(), pauseMs)
    })
    this.#keepFresh()
  }

  stop(): void {
    this.#isStopped = true
    this.#unlisten()
    clearTimeout(this.#pause)
    clearTimeout(this.#rescan)
  }

  /** Tells now what has changed. */
  show(): Promise<void> {
    clearTimeout(this.#pause)
    this.#pause = undefined
    // one after the other, so that no older list comes after a newer one
    this.#showing = this.#showing.then(() => this.#show())
    return this.#showing
  }

  async #show(): Promise<void> {
    const [networks, saved] = [await this.#wifi.networks(), await this.#wifi.saved()]
    if (this.#isStopped) return
    this.#publish('status', this.#wifi.status())
    if ((this.#wifi.manager.device?.lastScan ?? -1n) >= 0n) this.#publish('networks', networks)
    this.#publish('saved', saved)
  }

  #publish<K extends keyof Tell>(name: K, value: Parameters<Tell[K]>[0]): void {
    const text = JSON.stringify(value)
    if (this.#told.get(name) === text) return
    this.#told.set(name, text)
    ;(this.#tell[name] as (value: Parameters<Tell[K]>[0]) => void)(value)
  }

  /** Asks for a scan when the list becomes too old. */
  #keepFresh(): void {
    clearTimeout(this.#rescan)
    const { device } = this.#wifi.manager
    if (!device || device.state < 30) return
    const ageMs = device.lastScan < 0n ? freshMs : uptime() * 1000 - Number(device.lastScan)
    const triedMs = performance.now() - this.#triedAt
    this.#rescan = setTimeout(
      () => {
        this.#triedAt = performance.now()
        // one that fails is tried again as late as one that does not
        void this.#wifi.scan().catch(() => undefined)
        this.#keepFresh()
      },
      freshMs - Math.min(ageMs, triedMs, freshMs),
    )
  }
}
