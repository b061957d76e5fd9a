import type { Capabilities } from '../plugin/capabilities.ts'
import type { Log } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import type { PluginStatus } from '../plugin/host-control.ts'
import type { SystemBus } from '../process/dbus.ts'
import type { Launch, LaunchRequest } from '../process/launch.ts'
import type { Loader } from '../process/loader.ts'
import type { StorePlace } from '../process/store.ts'
import type { Hub } from '../wire/hub.ts'
import type { Module } from '../wire/module.ts'
import type { Road } from '../wire/road.ts'

/**
 * Milliseconds: deadlines of a start and of a stop, and of all stops together when the host ends, so that a plugin that hangs does not
 * keep the sessions from being saved; how long a process of a plugin may give no sign of life; the first pause before a failed plugin is
 * tried again, of which each further one is twice as long; how long a version must have run to be kept.
 */
export const pace = {
  startMs: 15_000,
  diagnoseMs: 5_000,
  stopMs: 5_000,
  quitMs: 4_000,
  silenceMs: 5_000,
  retryMs: 1_000,
  keepAfterMs: 5_000,
}

/** What the configuration says of a plugin. */
export interface Wish {
  readonly enabled: boolean
  /** A sentence: why it is off although it is switched on, and what mends it. */
  readonly heldBack?: string
  /** What it asks for and was not granted. */
  readonly asks: readonly string[]
  readonly runIn: 'host' | 'process'
  readonly memoryMb: number
  readonly namespace: string
  readonly settings: Readonly<Record<string, unknown>>
  /** Its settings ask for hardware that is not real, so it needs none. */
  readonly simulated: boolean
}

export interface UnitParts {
  readonly hub: Hub
  readonly road: Road
  readonly loader: Loader
  readonly bus: SystemBus
  /** The host's lines about the plugin: its states. */
  readonly log: Log
  /** The plugin's own lines, and what came out of its code: bounded, and told from the host's. */
  readonly pluginLog: Log
  readonly development: boolean
  readonly pace: typeof pace
  /** How a plugin gets a process of its own. */
  readonly remote: {
    readonly launch: Launch
    readonly child: LaunchRequest['child']
    readonly closed: LaunchRequest['closed']
    /** Third parties' plugins are services of systemd. */
    readonly hasUnits: boolean
    readonly busAddress?: string | undefined
  }
  readonly capabilities: (module: Module, store: StorePlace) => Capabilities<Contract>
  readonly storeFor: (id: string, builtin: boolean) => StorePlace
  /** Told of every change of its state. */
  readonly onChange: (status: PluginStatus) => void
}
