import type { HostConfig, PluginEntry } from '../config/types.ts'
import type { Log } from '../plugin/context.ts'
import type { PluginStatus } from '../plugin/capabilities.ts'
import type { Found } from './read-package.ts'
import { Unit, type UnitParts, type Wish } from './unit.ts'

export interface SupervisorParts extends Omit<UnitParts, 'log' | 'onChange'> {
  readonly logFor: (id: string) => Log
  readonly host: () => HostConfig
  readonly plugins: () => Readonly<Record<string, PluginEntry>>
}

/** Brings every plugin found to the state that the configuration and the machine allow. */
export class Supervisor {
  readonly #parts: SupervisorParts
  /** By directory: two packages may claim one id. */
  readonly #units = new Map<string, Unit>()
  readonly #listeners = new Set<() => void>()
  #found: readonly Found[] = []

  constructor(parts: SupervisorParts) {
    this.#parts = parts
  }

  /** Called after every change of a plugin's state. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  statuses(): PluginStatus[] {
    return [...this.#units.values()].map((unit) => unit.status).sort((one, other) => one.id.localeCompare(other.id))
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

  /** Takes in what discovery found, or that the configuration changed. Resolves when every plugin has come to rest. */
  async reconcile(found: readonly Found[] = this.#found): Promise<void> {
    this.#found = found
    const dirs = new Set(found.map(({ dir }) => dir))
    const gone = [...this.#units].filter(([dir]) => !dirs.has(dir))
    for (const [dir] of gone) this.#units.delete(dir)
    await Promise.all(gone.map(([, unit]) => unit.remove()))
    // Those with a problem first: what they give up, an id or a name, another may need.
    const order = [...found].sort((one, other) => Number(!one.problem) - Number(!other.problem))
    const work = order.map((item) => this.#unitFor(item).update(item, this.#wish(item)))
    if (gone.length > 0) this.#changed()
    await Promise.all(work)
  }

  /** Stops all, the last found first. */
  async stop(): Promise<void> {
    const units = [...this.#units.values()].reverse()
    await Promise.all(units.map((unit) => unit.remove()))
  }

  /** Finds the plugin whose code an error came out of, and fails it. False if it was none of them. */
  blame(error: unknown): boolean {
    const stack = error instanceof Error ? (error.stack ?? '') : ''
    const unit = [...this.#units.values()].find(({ found }) => stack.includes(`file://${found.dir}/`) || stack.includes(`${found.dir}/`))
    unit?.fail(`An exception nobody caught: ${(error as Error).message}`)
    return unit !== undefined
  }

  #unitFor(found: Found): Unit {
    const { logFor, ...parts } = this.#parts
    const known = this.#units.get(found.dir)
    if (known) return known
    const unit = new Unit(found, this.#wish(found), { ...parts, log: logFor(found.id), onChange: () => this.#changed() })
    this.#units.set(found.dir, unit)
    return unit
  }

  #wish({ id, builtin, contract }: Found): Wish {
    const plugins = this.#parts.plugins()
    const entry = Object.hasOwn(plugins, id) ? plugins[id] : undefined
    const isOwnPolicy = (contract?.policy ?? 'patchbay') === 'patchbay'
    return {
      // The host's own module is how everything else is switched on.
      enabled: (entry?.enabled ?? builtin) || (builtin && id === 'host'),
      namespace: entry?.namespace ?? (isOwnPolicy ? this.#parts.host().namespace : `/${id}`),
      settings: entry?.settings ?? {},
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}
