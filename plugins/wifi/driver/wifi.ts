import { setTimeout as delay } from 'node:timers/promises'
import { activate, gone } from './activation.ts'
import type { Bus } from './bus.ts'
import { type ChangeOptions, Changes, type Patience, type Undo } from './changes.ts'
import { type Choice, choose, type Wish } from './choice.ts'
import { within } from './deadline.ts'
import { WifiError } from './failure.ts'
import { type Device, NetworkManager, ready } from './network-manager.ts'
import { accessPoints, type Network, networks } from './networks.ts'
import { newSettings, type Profile } from './profiles.ts'
import { ssidBytes, ssidText } from './ssid.ts'
import { type Status, statusOf } from './status.ts'

export interface Times extends Patience {
  /** After which an undecided connect is ended, and a scan. NetworkManager itself takes up to 54 s to say what is wrong. */
  readonly decideMs: number
  readonly scanMs: number
}

/** Who asks for a change. */
export interface Asker {
  /** Over which interface it came; undefined if that is not known. */
  readonly arrivedOver: string | undefined
  /** Resolves when the asker is heard of again. */
  heard(signal: AbortSignal): Promise<void>
}

export interface Saved {
  readonly ssid: string
  readonly security: Profile['security']
  readonly hidden: boolean
  readonly autoconnect: boolean
  /** When it was in use last, in milliseconds since 1970; null for never. */
  readonly lastUsed: number | null
}

const usual: Times = { decideMs: 18_000, scanMs: 14_000, workSeconds: 60, confirmSeconds: 60 }

/** The machine's Wi-Fi. */
export class Wifi {
  readonly manager: NetworkManager
  readonly #times: Times
  readonly #changes: Changes

  constructor(bus: Bus, onRolledBack: () => void, times = usual) {
    this.manager = new NetworkManager(bus)
    this.#times = times
    this.#changes = new Changes(times, onRolledBack)
  }

  /** Nothing is answered any more; what is under way is undone by NetworkManager. */
  stop(): void {
    this.#changes.stop()
  }

  status(): Status {
    return statusOf(this.manager)
  }

  async networks(): Promise<Network[]> {
    const profiles = await this.manager.profiles()
    const { device, objects } = this.manager
    return device ? networks(accessPoints(objects, device.accessPoints), device.accessPoint, profiles) : []
  }

  /** The latest in use first. */
  async saved(): Promise<Saved[]> {
    const profiles = (await this.manager.profiles()).sort((a, b) => b.lastUsed - a.lastUsed)
    return profiles.map(({ ssid, security, hidden, autoconnect, lastUsed }) => ({
      ssid: ssidText(ssid),
      security,
      hidden,
      autoconnect,
      lastUsed: lastUsed === 0 ? null : lastUsed * 1000,
    }))
  }

  /** Resolves when the list is new. */
  async scan(): Promise<void> {
    const end = AbortSignal.timeout(this.#times.scanMs)
    const close = await this.manager.open()
    try {
      const device = ready(this.manager)
      if (device.state >= 40 && device.state < 100) throw new WifiError('WIFI_BUSY')
      await this.#scan(device, end)
    } finally {
      close()
    }
  }

  async connect(wish: Wish, asker: Asker): Promise<void> {
    const decideAt = performance.now() + this.#times.decideMs
    const ssid = bytesOf(wish.ssid)
    const close = await this.manager.open()
    try {
      const device = ready(this.manager)
      const look = async () =>
        choose(ssid, wish, accessPoints(this.manager.objects, this.#accessPoints(device)), await this.manager.profiles())
      let choice = await look()
      if (choice === 'not in sight') {
        await this.#scan(device).catch(() => undefined)
        choice = await look()
      }
      if (choice === 'not in sight') throw new WifiError('WIFI_NOT_FOUND')
      if (choice.profile && this.#isInUse(device, choice.profile.path)) return
      const { profile, target, network, replaces } = choice
      let made: string | undefined
      const start = async ({ profile, target, network, replaces }: Choice) => {
        if (profile) return this.manager.activate(profile.path, device.path, target)
        const settings = newSettings({ name: wish.ssid, ...network, before: replaces[0]?.settings ?? {} })
        const added = await this.manager.addAndActivate(settings, device.path, target)
        made = added.profile
        return added.active
      }
      /** The access point may have gone since it was chosen: another of the network will do. */
      const startAgain = async (error: WifiError, signal: AbortSignal) => {
        if (error.code !== 'WIFI_NOT_FOUND') throw error
        const isGone = () => (this.manager.objects.has(target) ? undefined : true)
        await this.manager.until(isGone, AbortSignal.timeout(2000)).catch(() => undefined)
        const other = await look()
        if (other === 'not in sight') throw error
        signal.throwIfAborted()
        return start(other)
      }
      // an access point that is heard and does not let us in: of WPA3 that is how it refuses a password
      const refused = network.keyManagement === 'sae' || profile?.security === 'WPA3' ? 'WIFI_AUTH_FAILED' : 'WIFI_SUPPLICANT'
      const unanswered = () => (this.manager.isHeard(device.path, ssid) ? refused : 'WIFI_NOT_FOUND')
      await this.#change(device, asker, {
        work: async (signal) => {
          const begin = () => start(choice as Choice).catch((error: WifiError) => startAgain(error, signal))
          await activate(this.manager, device.path, begin, { decideAt, signal, unanswered })
          if (made !== undefined) await this.manager.saveProfile(made)
        },
        onKept: async () => {
          // with the password that they have nobody gets in any more, or they are this network once more
          for (const { path } of replaces) if (path !== made) await this.manager.deleteProfile(path).catch(() => undefined)
        },
      })
    } finally {
      close()
    }
  }

  async disconnect(asker: Asker): Promise<void> {
    const close = await this.manager.open()
    try {
      const device = ready(this.manager)
      if (device.state <= 30) return
      await this.#change(device, asker, {
        work: (signal) => this.#leave(device, () => this.manager.disconnect(device.path), signal),
      })
    } finally {
      close()
    }
  }

  async forget(name: string, asker: Asker): Promise<void> {
    const ssid = bytesOf(name)
    const close = await this.manager.open()
    try {
      if (!this.manager.manager) throw new WifiError('WIFI_SERVICE_LOST')
      const profiles = (await this.manager.profiles()).filter((profile) => profile.ssid.equals(ssid))
      if (profiles.length === 0) throw new WifiError('WIFI_NOT_SAVED')
      const remove = async () => {
        for (const { path } of profiles) await this.manager.deleteProfile(path)
      }
      const { device } = this.manager
      if (device && profiles.some(({ path }) => this.#isInUse(device, path)))
        await this.#change(device, asker, { work: (signal) => this.#leave(device, remove, signal) })
      else await remove()
    } finally {
      close()
    }
  }

  /** Switches the radio on or off. Off over this very radio is undone unless the asker is heard of again. */
  async setRadio(on: boolean, asker: Asker): Promise<void> {
    const close = await this.manager.open()
    try {
      const { manager } = this.manager
      if (!manager) throw new WifiError('WIFI_SERVICE_LOST')
      if (on && manager.WirelessHardwareEnabled === false)
        throw new WifiError('WIFI_RADIO_OFF', 'The radio is switched off by a switch of the machine, or by rfkill.')
      if (manager.WirelessEnabled === on) return
      const set = (value: boolean) => this.manager.setWireless(value)
      const undo = async (): Promise<Undo> => ({ keep: async () => {}, rollBack: () => set(!on), extend: async () => {} })
      const work = async () => {
        await set(on)
        await this.manager.until(
          () => (this.manager.manager?.WirelessEnabled === on ? true : undefined),
          AbortSignal.timeout(5000),
        )
      }
      const { device } = this.manager
      await this.#changes.run({ undo, work, ...(!on && this.#cuts(device, asker) && { heard: heardLater(asker) }) })
    } finally {
      close()
    }
  }

  /** Under a checkpoint of NetworkManager's. */
  async #change(device: Device, asker: Asker, options: Pick<ChangeOptions, 'work' | 'onKept'>): Promise<void> {
    const { manager } = this
    const undo = async (): Promise<Undo> => {
      const checkpoint = await manager.createCheckpoint(device.path, this.#times.workSeconds)
      return {
        keep: () => manager.destroyCheckpoint(checkpoint),
        rollBack: () => manager.rollBack(checkpoint),
        extend: (seconds) => manager.extendCheckpoint(checkpoint, seconds),
      }
    }
    await this.#changes.run({ undo, ...options, ...(this.#cuts(device, asker) && { heard: heardLater(asker) }) })
  }

  /** Whether the way on which the asker came is the one that changes. */
  #cuts(device: Device | undefined, { arrivedOver }: Asker): boolean {
    return device !== undefined && device.state === 100 && (arrivedOver === undefined || arrivedOver === device.name)
  }

  #accessPoints({ path }: Device): readonly string[] {
    return this.manager.deviceAt(path)?.accessPoints ?? []
  }

  #isInUse({ active, state }: Device, profile: string): boolean {
    return state === 100 && this.manager.profileOfActive(active) === profile
  }

  async #scan(device: Device, end = AbortSignal.timeout(this.#times.scanMs)): Promise<void> {
    await this.manager.requestScan(device.path).catch((error: WifiError) => {
      // it is at it already; else why not
      if (error.code !== 'WIFI_FAILED') throw error
    })
    const isNew = () => {
      const why = gone(this.manager, device.path)
      if (why) throw why
      return this.manager.deviceAt(device.path)?.lastScan === device.lastScan ? undefined : true
    }
    await this.manager.until(isNew, end).catch((error: unknown) => {
      throw error instanceof WifiError ? error : new WifiError('WIFI_SCAN_FAILED')
    })
  }

  /** Resolves when the device has left its network. */
  async #leave(device: Device, begin: () => Promise<void>, signal: AbortSignal): Promise<void> {
    await begin()
    const hasLeft = () => {
      const why = gone(this.manager, device.path)
      if (why) throw why
      const now = this.manager.deviceAt(device.path)
      return now && (now.state <= 30 || now.active !== device.active) ? true : undefined
    }
    await within(7000, signal, (end) => this.manager.until(hasLeft, end)).catch((error: unknown) => {
      throw error instanceof WifiError ? error : new WifiError('WIFI_FAILED', 'The device does not leave its network.')
    })
  }
}

/** What was on its way before the change does not count. */
function heardLater(asker: Asker): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    await delay(1000, undefined, { signal })
    await asker.heard(signal)
  }
}

function bytesOf(name: string): Buffer {
  const ssid = ssidBytes(name)
  if (ssid.length === 0 || ssid.length > 32) throw new WifiError('WIFI_SSID_INVALID')
  return ssid
}
