import { constants } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { DBus } from '../plugin/capabilities.ts'

const systemd = 'org.freedesktop.systemd1'
const manager = { service: systemd, path: '/org/freedesktop/systemd1', interface: `${systemd}.Manager` }
/** Milliseconds. */
const lookMs = 200
const patienceMs = 8000
const orderMs = 25_000

/** Which of the templates in scripts/service is for these grants. */
export function unitName(id: string, grants: readonly string[]): string {
  const dev = grants.some((grant) => grant.startsWith('device:')) ? '-dev' : ''
  const net = grants.includes('network') ? '-net' : ''
  return `patchbay-plugin${dev}${net}@${id}.service`
}

/** A service of systemd that is a plugin's process. */
export class PluginUnit {
  readonly #bus: Pick<DBus, 'call'>
  readonly #name: string

  constructor(bus: Pick<DBus, 'call'>, name: string) {
    this.#bus = bus
    this.#name = name
  }

  /** Starts it; one that runs already is ended first. Resolves when systemd has begun, rejects with a sentence. */
  async restart(): Promise<void> {
    await this.#manage('RestartUnit').catch((error: Error & { dbusName?: string }) => {
      const mend = /Auth|AccessDenied/.test(error.dbusName ?? '') ? ' Mend it with: sudo apt-get install polkitd' : ''
      throw new Error(`The service ${this.#name} could not be started: ${error.message}${mend}`)
    })
  }

  /** Ends it, with all that it started. */
  async stop(): Promise<void> {
    await this.#manage('StopUnit')
  }

  /** Rejects when it turns out that it does not run, with how it ended. */
  async mustRun(signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(lookMs, undefined, { signal })
      if ((await this.#get('Unit', 'ActiveState')) === 'failed') throw new Error(await this.#howItEnded())
    }
  }

  /** Resolves with how it ended when nothing of it is left; helps with that. */
  async ended(): Promise<string> {
    const started = performance.now()
    for (let round = 0; performance.now() - started < patienceMs; round++) {
      const state = await this.#get('Unit', 'ActiveState')
      if (state === 'inactive' || state === 'failed') return this.#howItEnded()
      // Its channel is closed, and it had a moment to follow.
      if (round === 2) await this.stop()
      await delay(lookMs)
    }
    throw new Error(`${this.#name} does not end`)
  }

  /** Where the kernel keeps its accounts. */
  async accounts(): Promise<string> {
    return `/sys/fs/cgroup${String(await this.#get('Service', 'ControlGroup'))}`
  }

  async #howItEnded(): Promise<string> {
    const [result, status] = [await this.#get('Service', 'Result'), Number(await this.#get('Service', 'ExecMainStatus'))]
    const signal = Object.entries(constants.signals).find(([, number]) => number === status)?.[0]
    if (result === 'oom-kill') return 'It used more memory than its service may and was ended.'
    if (result === 'signal' || result === 'core-dump') return `Its process was ended by ${signal}.`
    return `Its process ended with exit code ${status}.`
  }

  async #manage(method: 'RestartUnit' | 'StopUnit'): Promise<void> {
    await this.#bus.call({ ...manager, method, signature: 'ss', args: [this.#name, 'replace'], timeoutMs: orderMs })
  }

  async #get(iface: 'Unit' | 'Service', property: string): Promise<unknown> {
    const label = this.#name.replace(/[^A-Za-z0-9]/g, (char) => `_${char.charCodeAt(0).toString(16)}`)
    const [value] = await this.#bus.call({
      service: systemd,
      path: `/org/freedesktop/systemd1/unit/${label}`,
      interface: 'org.freedesktop.DBus.Properties',
      method: 'Get',
      signature: 'ss',
      args: [`${systemd}.${iface}`, property],
    })
    return value
  }
}
