import type { ConnectedClient } from '../plugin/capabilities.ts'
import type { Call, RouteRequest, RouteResponse } from '../plugin/context.ts'
import type {
  CommandDefinition,
  Contract,
  ContractGroup,
  ContractRole,
  EventDefinition,
  Rate,
  RouteDefinition,
} from '../plugin/contract.ts'
import type { PluginStatus } from '../plugin/host-control.ts'
import type { Client } from './client.ts'
import { type Check, type Filling, fillingCheck, schemaCheck } from './validate.ts'

export type State = PluginStatus['state']
export type Handler = (payload: unknown, call: Call) => unknown

/** A command as the road sees it. */
export interface Command {
  readonly name: string
  /** Undefined for the core's own. */
  readonly module?: Module
  /** The weakest built-in role that may give it; undefined: whoever is connected. */
  readonly role?: ContractRole
  /** Of a gated module: who may give it, by the roles of a token, and whether nobody has to be known. */
  readonly roles?: readonly string[]
  readonly anonymous?: true
  readonly rate: Rate
  readonly timeoutMs: number
  readonly inFlight: number
  readonly check: Check
  readonly checkResult?: Check | undefined
  handler?: Handler | undefined
}

export interface Event {
  readonly definition: EventDefinition
  readonly check: Check
}

/** An HTTP route of the plugin. */
export interface Route {
  /** Method and path below the prefix, such as `PUT /api/lamps/:id`. */
  readonly name: string
  readonly definition: RouteDefinition
  readonly rate: Rate
  /** Of what a request carries. */
  readonly checks: { readonly [K in 'params' | 'query']?: Filling } & { readonly body: Check; readonly result?: Check }
  handler?: ((request: RouteRequest) => RouteResponse | Promise<RouteResponse>) | undefined
}

/** What a module says on one namespace. */
export interface Group {
  readonly namespace: string
  readonly commands: ReadonlyMap<string, Command>
  readonly events: ReadonlyMap<string, Event>
  /** Last values of retained events. */
  readonly retained: Map<string, unknown>
  /** Who cannot be known may enter. */
  readonly anonymous: boolean
}

/** Told by the wire, while the plugin runs. */
export interface Audience {
  joined(): void
  last(): void
  left(clientId: string): void
  /** A client is there, of which the plugin was not told before or by another run. */
  connected?(client: ConnectedClient): void | Promise<void> | undefined
  /** The same plugin said something on another host. */
  told?(value: unknown): void
  /** The roles of a client became others. */
  reviewed?(client: Client): void
  /** Something came in from a client of this user. */
  heard?(userId: string): void
}

const defaults = { rate: { max: 60, windowMs: 10_000 }, timeoutMs: 10_000, inFlight: 16 }

/** A plugin as clients see it. It outlives the plugin's runs: subscriptions stand while the plugin restarts. */
export class Module {
  readonly id: string
  readonly contract: Contract
  readonly mount: string
  /** By relative name; `''` is the mount itself. */
  readonly groups: ReadonlyMap<string, Group>
  /** Its namespaces have a policy of their own, to which the access list means nothing. */
  readonly isGated: boolean
  /** By method and path below the plugin's prefix, such as `GET /html`. */
  readonly routes: ReadonlyMap<string, Route>
  /** Where they begin, such as `/metrics`; empty on `/`. */
  readonly prefix: string
  /** Of what a client sends in its handshake beside the token. */
  readonly handshake: Check | undefined
  readonly subscribers = new Set<Client>()
  /** What makes the value of a retained event when somebody subscribes. */
  readonly providers = new Map<string, () => unknown>()
  audience: Audience | undefined
  /** Its code runs in a process of its own, which has compiled its schemas and judges what it takes and answers. */
  isRemote = false
  state: State = 'disabled'
  reason: string | undefined

  constructor(contract: Contract, mount: string) {
    this.id = contract.id
    this.contract = contract
    this.mount = mount
    this.isGated = (contract.policy ?? 'patchbay') !== 'patchbay'
    this.prefix = this.isGated ? mount.replace(/^\/$/, '') : `/${contract.id}`
    this.handshake = contract.handshake && schemaCheck(contract.handshake)
    const routes = Object.entries(contract.routes ?? {})
    this.routes = new Map(routes.map(([name, definition]) => [name, createRoute(name, definition)]))
    const below = Object.entries(contract.namespaces ?? {}).map(
      ([relative, group]) => [relative, this.#group(`${mount === '/' ? '' : mount}/${relative}`, group)] as const,
    )
    this.groups = new Map([['', this.#group(mount, contract)], ...below])
  }

  /** The room of its subscribers. */
  get room(): string {
    return `module:${this.id}`
  }

  /** Compiles every schema. Throws for one that is none. */
  compile(): void {
    this.handshake?.(null)
    for (const { checks } of this.routes.values()) for (const check of Object.values(checks)) check?.({})
    for (const { commands, events } of this.groups.values())
      for (const { check, checkResult } of [...commands.values(), ...events.values()] as Partial<Command>[]) {
        check?.(null)
        checkResult?.(null)
      }
  }

  /** Forgets what must not be shown any more. */
  forget(events?: Iterable<string>): void {
    for (const { retained } of this.groups.values())
      for (const event of events ?? [...retained.keys()]) {
        retained.delete(event)
        for (const client of this.subscribers) client.waiting.delete(event)
      }
  }

  /** Takes off what a run brought; the next one brings its own. */
  clear(): void {
    for (const { commands } of this.groups.values()) for (const command of commands.values()) command.handler = undefined
    for (const route of this.routes.values()) route.handler = undefined
    this.providers.clear()
    this.forget()
  }

  #group(namespace: string, { commands = {}, events = {}, anonymous }: ContractGroup): Group {
    return {
      namespace,
      commands: new Map(Object.entries(commands).map(([name, definition]) => [name, this.#command(name, definition)])),
      events: new Map(
        Object.entries(events).map(([name, definition]) => [name, { definition, check: schemaCheck(definition.payload) }]),
      ),
      retained: new Map(),
      anonymous: anonymous === true && this.isGated,
    }
  }

  #command(name: string, { payload, result, role = 'owner', ...limits }: CommandDefinition): Command {
    return {
      ...defaults,
      ...limits,
      name,
      module: this,
      role,
      check: schemaCheck(payload),
      checkResult: result && schemaCheck(result),
    }
  }
}

function createRoute(name: string, definition: RouteDefinition): Route {
  const { rate = defaults.rate, params, query, body, result } = definition
  const checks = {
    ...(params && { params: fillingCheck(params) }),
    ...(query && { query: fillingCheck(query) }),
    body: schemaCheck(body),
    ...(result && { result: schemaCheck(result) }),
  }
  return { name, definition, rate, checks }
}
