import type { PluginStatus } from '../plugin/capabilities.ts'
import type { Call } from '../plugin/context.ts'
import type { CommandDefinition, Contract, ContractGroup, ContractRole, EventDefinition } from '../plugin/contract.ts'
import type { Client } from './client.ts'
import { type Check, schemaCheck } from './validate.ts'

export type State = PluginStatus['state']
export type Handler = (payload: unknown, call: Call) => unknown

/** A command as the road sees it. */
export interface Command {
  readonly name: string
  /** Undefined for the core's own. */
  readonly module?: Module
  /** The weakest built-in role that may give it; undefined: whoever is connected. */
  readonly role?: ContractRole
  readonly rate: { readonly max: number; readonly windowMs: number }
  readonly timeoutMs: number
  readonly inFlight: number
  readonly check: Check
  readonly checkResult?: Check
  handler?: Handler | undefined
}

export interface Event {
  readonly definition: EventDefinition
  readonly check: Check
}

/** What a module says on one namespace. */
export interface Group {
  readonly namespace: string
  readonly commands: ReadonlyMap<string, Command>
  readonly events: ReadonlyMap<string, Event>
}

/** Told by the wire, while the plugin runs. */
export interface Audience {
  first(): void
  joined(): void
  last(): void
}

const defaults = { rate: { max: 60, windowMs: 10_000 }, timeoutMs: 10_000, inFlight: 16 }

/** A plugin as clients see it. It outlives the plugin's runs: subscriptions stand while the plugin restarts. */
export class Module {
  readonly id: string
  readonly contract: Contract
  readonly mount: string
  /** By relative name; `''` is the mount itself. */
  readonly groups: ReadonlyMap<string, Group>
  readonly subscribers = new Set<Client>()
  /** Last values of retained events, and functions that make them when somebody subscribes. */
  readonly retained = new Map<string, unknown>()
  readonly providers = new Map<string, () => unknown>()
  audience: Audience | undefined
  state: State = 'disabled'
  reason: string | undefined

  constructor(contract: Contract, mount: string) {
    this.id = contract.id
    this.contract = contract
    this.mount = mount
    const group = (relative: string, content: ContractGroup): [string, Group] => {
      const namespace = relative === '' ? mount : `${mount === '/' ? '' : mount}/${relative}`
      const commands = Object.entries(content.commands ?? {}).map(([name, definition]) => [name, this.#command(name, definition)] as const)
      const events = Object.entries(content.events ?? {}).map(
        ([name, definition]) => [name, { definition, check: schemaCheck(definition.payload) }] as const,
      )
      return [relative, { namespace, commands: new Map(commands), events: new Map(events) }]
    }
    this.groups = new Map([group('', contract), ...Object.entries(contract.namespaces ?? {}).map(([name, content]) => group(name, content))])
  }

  #command(name: string, { payload, result, role = 'owner', ...limits }: CommandDefinition): Command {
    const checkResult = result && schemaCheck(result)
    return { ...defaults, ...limits, name, module: this, role, check: schemaCheck(payload), ...(checkResult && { checkResult }) }
  }

  /** The room of its subscribers. */
  get room(): string {
    return `module:${this.id}`
  }

  /** Forgets what must not be shown any more. */
  forget(events: Iterable<string> = [...this.retained.keys()]): void {
    for (const event of events) {
      this.retained.delete(event)
      for (const client of this.subscribers) client.waiting.delete(event)
    }
  }
}
