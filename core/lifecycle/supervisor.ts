import { pathToFileURL } from 'node:url'
import pluginsSchema from '../../config/schemas/plugins.schema.json' with { type: 'json' }
import type { Config } from '../config/config.ts'
import type { PluginHealth, PluginStatus } from '../plugin/host-control.ts'
import { currentOwner } from '../process/attribution.ts'
import { read } from '../process/bounded-copy.ts'
import { within } from '../process/deadline.ts'
import type { SafeMode } from '../safe-mode.ts'
import type { Observers } from '../wire/observers.ts'
import { lacking, ungranted } from './grants.ts'
import { LastGood } from './last-good.ts'
import type { Found } from './read-package.ts'
import { Unit } from './unit.ts'
import type { UnitParts, Wish } from './unit-parts.ts'

export interface SupervisorParts extends Omit<UnitParts, 'log' | 'pluginLog' | 'onChange'> {
  readonly logsFor: (id: string) => Pick<UnitParts, 'log' | 'pluginLog'>
  readonly config: Pick<Config, 'host' | 'plugins'>
  /** How the command line is called. */
  readonly commandName: string
  readonly observers: Observers
  readonly safeMode: Pick<SafeMode, 'heldBack' | 'release'>
  /** Where the versions are kept that ran. */
  readonly keepDir: string
}

const misplaced = 'It runs in a process of its own only: take "runIn": "host" out of its entry in plugins.json.'
const defaultMemoryMb = pluginsSchema.properties.plugins.additionalProperties.properties.memoryMb.default

/** Brings every plugin found to the state that the configuration and the machine allow. */
export class Supervisor {
  readonly #parts: SupervisorParts
  /** By directory: two packages may claim one id. */
  readonly #units = new Map<string, Unit>()
  readonly #listeners = new Set<() => void>()
  readonly #lastGood: LastGood
  #found: readonly Found[] = []

  constructor(parts: SupervisorParts) {
    this.#parts = parts
    const { keepDir: dir, logsFor, pace } = parts
    this.#lastGood = new LastGood({
      dir,
      logFor: (id) => logsFor(id).log,
      keepAfterMs: pace.keepAfterMs,
      onChange: () => void this.reconcile(),
    })
  }

  /** Called after every change of a plugin's state. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  statuses(): PluginStatus[] {
    return this.units().map((unit) => unit.status)
  }

  health(): Array<PluginStatus & PluginHealth> {
    return this.units().map((unit) => ({ ...unit.status, ...unit.health() }))
  }

  /** By their ids. */
  units(): Unit[] {
    return [...this.#units.values()].sort((one, other) => one.found.id.localeCompare(other.found.id))
  }

  /** Milliseconds that each plugin's last start took. */
  startTimes(): Record<string, number | undefined> {
    return Object.fromEntries([...this.#units.values()].map((unit) => [unit.found.id, unit.startMs]))
  }

  /** The unit with this id; of two, the one that is no duplicate. */
  unit(id: string): Unit | undefined {
    const named = [...this.#units.values()].filter((unit) => unit.found.id === id)
    return named.find((unit) => !unit.found.problem) ?? named[0]
  }

  /** Shows to clients what discovery found; nothing is started. */
  meet(found: readonly Found[]): void {
    this.#found = found
    for (const item of found) if (!this.#units.has(item.dir)) this.#create(item)
  }

  /** Takes in what discovery found, or that the configuration changed. Resolves when every plugin has come to rest. */
  async reconcile(found: readonly Found[] = this.#found): Promise<void> {
    this.#found = found
    const dirs = new Set(found.map(({ dir }) => dir))
    const gone = [...this.#units].filter(([dir]) => !dirs.has(dir))
    for (const [dir] of gone) this.#units.delete(dir)
    await Promise.all(gone.map(([, unit]) => unit.remove()))
    this.meet(this.#found)
    await Promise.all(this.#found.map((item) => this.#update(item)))
    // What one has given up, a name or a namespace, another may have waited for.
    await Promise.all([...this.#units.values()].map((unit) => unit.converge()))
    void this.#lastGood.sweep(new Set(this.#found.map(({ id }) => id)))
    // Also what is no change of a state: one is gone, or the code of one has changed.
    this.#changed()
  }

  async #update(found: Found): Promise<void> {
    const { enabled, heldBack, runIn, settings } = this.#wish(found)
    const mayStandIn = !found.builtin && enabled && !heldBack && runIn === 'process'
    const chosen = mayStandIn ? await this.#lastGood.choose(found, settings) : found
    await this.#units.get(found.dir)?.update(chosen, this.#wish(chosen))
  }

  /** Stops and starts a plugin, out of quarantine and in safe mode too. Resolves when it has come to rest. */
  async restart(id: string): Promise<void> {
    const onDisk = this.#found.find((found) => found.id === id && !found.builtin)
    const isRetried = onDisk !== undefined && this.#lastGood.retry(onDisk.dir)
    if (this.#parts.safeMode.release(id) || isRetried) await this.reconcile()
    else await this.unit(id)?.restart()
  }

  /** Stops all. Rejects if that takes too long. */
  async stop(): Promise<void> {
    const stopped = Promise.all([this.#lastGood.close(), ...[...this.#units.values()].map((unit) => unit.stop())])
    try {
      await within(stopped, this.#parts.pace.quitMs, 'some plugins do not stop')
    } finally {
      for (const unit of this.#units.values()) unit.kill()
    }
  }

  /** Finds the plugin whose code an exception came out of, and fails it. False if it was none of them. */
  blame(error: unknown): boolean {
    const unit = this.#inStack(error) ?? this.#units.get(currentOwner() ?? '')
    unit?.fail(error)
    return unit !== undefined
  }

  /** The stack knows best; but a text has none, and Node's own errors show no plugin in theirs. */
  #inStack(error: unknown): Unit | undefined {
    const stack = read(error, 'stack')
    // The message is left out: text from outside may name any path.
    const frames = typeof stack === 'string' ? stack.slice(stack.indexOf('\n    at ')) : ''
    const places = [...this.#units.values()].map((unit) => {
      const { dir } = unit.found
      const at = [`${pathToFileURL(dir).href}/`, `${dir}/`].map((place) => frames.indexOf(place)).filter((index) => index >= 0)
      return { unit, at: Math.min(...at) }
    })
    const [nearest] = places.filter(({ at }) => at < Infinity).sort((one, other) => one.at - other.at)
    return nearest?.unit
  }

  #create(found: Found): void {
    const { logsFor, config, commandName, observers, ...parts } = this.#parts
    const onChange = ({ id: plugin, state, reason, runIn }: PluginStatus) => {
      observers.notice({ kind: 'plugin', plugin, state, reason })
      if (runIn === 'process' && !unit.found.builtin)
        this.#lastGood.note(unit.found, this.#wish(unit.found).settings, { state, ...(reason && { reason }) })
      this.#changed()
    }
    const unit = new Unit(found, this.#wish(found), { ...parts, ...logsFor(found.id), onChange })
    this.#units.set(found.dir, unit)
    unit.mount()
  }

  #wish({ id, builtin, contract }: Found): Wish {
    const {
      commandName,
      safeMode,
      config: {
        host,
        plugins: { plugins },
      },
    } = this.#parts
    const entry = Object.hasOwn(plugins, id) ? plugins[id] : undefined
    // The host's own module is how everything else is switched on.
    const enabled = (entry?.enabled ?? (builtin && !contract?.optIn)) || (builtin && id === 'host')
    const asks = builtin || !contract ? [] : ungranted(contract, entry?.grants ?? [])
    const waits = enabled && !builtin ? (safeMode.heldBack(id) ?? lacking(id, asks, commandName)) : undefined
    const heldBack = enabled && contract?.ownProcess && entry?.runIn === 'host' ? misplaced : waits
    const isOwnPolicy = (contract?.policy ?? 'patchbay') === 'patchbay'
    return {
      enabled,
      asks,
      ...(heldBack && { heldBack }),
      namespace: entry?.namespace ?? (isOwnPolicy ? host.namespace : `/${id}`),
      // Who may touch the host is beside it: its capability is made of the host's own objects.
      runIn: contract?.capabilities?.host ? 'host' : (entry?.runIn ?? (builtin && !contract?.ownProcess ? 'host' : 'process')),
      memoryMb: entry?.memoryMb ?? defaultMemoryMb,
      settings: entry?.settings ?? {},
      simulated: entry?.settings?.simulated === true,
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
