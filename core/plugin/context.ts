import type { Capabilities, Finding } from './capabilities.ts'
import type {
  CommandName,
  CommandPayload,
  CommandResult,
  Contract,
  ContractGroup,
  ErrorCode,
  EventName,
  EventPayload,
  Events,
  RouteField,
  RouteName,
  Settings,
} from './contract.ts'

/** Who gave a command. */
export interface Caller {
  /** The connected socket. */
  readonly clientId: string
  /** `<strategy>:<subject>`, such as `telegram:279058397`, `local:owner` or `jwt:alice`; `anonymous:<address>` for whom nothing has authenticated. */
  readonly userId: string
  /** The login that the client belongs to. */
  readonly sessionId: string
  readonly roles: readonly string[]
  /** What the auth strategy knows about the user. */
  readonly claims: Readonly<Record<string, unknown>>
  readonly namespace: string
  /** The address of this machine that the client's connection was made to; of loopback where a tunnel or a proxy on this machine made it. */
  readonly localAddress: string
}

/** One command on its way. */
export interface Call {
  readonly caller: Caller
  /** Aborted when the deadline passes, the client leaves or the plugin stops. */
  readonly signal: AbortSignal
  /** Runs once the ack has been handed to the socket: for what must not happen before the client was told. */
  afterAck(work: () => void | Promise<void>): void
  /** Stops the deadline's clock (a person is being asked something) until the returned function is called, at most `maxMs`. */
  suspendDeadline(maxMs: number): () => void
}

/** Whom an `addressed` event goes to. */
export type Target = { readonly client: string } | { readonly user: string } | { readonly room: string }

/** Anything with an end. A function is called; an object is closed by the first of these that it has. */
export type Release = (() => unknown) | { close(): unknown } | { stop(): unknown } | { [Symbol.asyncDispose](): unknown }

export interface Owner {
  /** Aborted when the owner ends. */
  readonly signal: AbortSignal
  /**
   * Ties a resource to this owner and returns it. Releases run last first, each awaited. What is owned too late, or
   * arrives from a promise too late, is released at once.
   */
  own<T extends Release>(resource: T): T
  own<T extends Release>(resource: Promise<T>): Promise<T>
}

type Args<G extends ContractGroup, N extends EventName<G>> =
  EventPayload<G, N> extends undefined ? [payload?: undefined] : [payload: EventPayload<G, N>]
type Addressed<G extends ContractGroup> = {
  [N in EventName<G>]: Events<G>[N] extends { readonly to: 'addressed' } ? N : never
}[EventName<G>]

export interface Publisher<G extends ContractGroup> {
  /** Sends an event to the module's subscribers, or to all connected, as its contract says. A retained value is kept. */
  publish<N extends Exclude<EventName<G>, Addressed<G>>>(event: N, ...args: Args<G, N>): void
  /** Keeps the value of a retained event no longer: what it told is not so any more. */
  forget(event: EventName<G>): void
}

/** One namespace of the plugin. */
export interface Group<G extends ContractGroup> extends Publisher<G> {
  /** Sends an `addressed` event. */
  send<N extends Addressed<G>>(target: Target, event: N, ...args: Args<G, N>): void
  /**
   * Answers a command. What the handler returns becomes the ack's further fields; a declared error (`context.error`)
   * becomes its code; anything else thrown is answered `INTERNAL` and logged. What it publishes precedes the ack.
   */
  handle<N extends CommandName<G>>(
    command: N,
    handler: (payload: CommandPayload<G, N>, call: Call) => CommandResult<G, N> | Promise<CommandResult<G, N>>,
  ): void
}

/** A request for one of the plugin's routes. What it was authenticated with is not in it. */
export interface RouteRequest<Params = unknown, Query = unknown, Body = unknown> {
  /** Below the plugin's prefix, such as `/html`. */
  readonly path: string
  /** What stands for the `:names` of the route, validated. */
  readonly params: Params
  /** Validated; without a schema every value is a text. */
  readonly query: Query
  /** Validated. */
  readonly body: Body
  /** Who asks; `token:<id>` for a program with the plugin's own token, which has no roles; `anonymous:<address>` for nobody. */
  readonly caller: Pick<Caller, 'userId' | 'roles' | 'claims'>
  /** Where the request came from: an IP address. */
  readonly address: string
  /** Aborted when nobody waits any more, or the plugin stops. */
  readonly signal: AbortSignal
}

/** Text or bytes of a media type, or a JSON value. */
export type RouteResponse<Result = unknown> =
  | {
      /** Default 200. */
      readonly status?: number
      /** Such as `text/html; charset=utf-8`. */
      readonly type: string
      readonly body: string | Uint8Array
    }
  | {
      readonly status?: number
      readonly json: Result
    }

export interface Log {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
}

/** An error with a declared code, to throw from a handler. */
export interface CodedError extends Error {
  readonly code: string
  readonly details?: unknown
  /** Seconds. */
  readonly retryAfter?: number
  /** Of the answer to an HTTP request; default 400. */
  readonly status?: number
}

/** Work that lives while the module has subscribers: it owns, publishes and ends. */
export interface Watch<C extends Contract> extends Owner, Publisher<C> {}

type Texts<T> = T extends undefined ? Readonly<Record<string, string>> : T
type RouteRequestOf<C extends Contract, N extends RouteName<C>> = RouteRequest<
  Texts<RouteField<C, N, 'params'>>,
  Texts<RouteField<C, N, 'query'>>,
  RouteField<C, N, 'body'>
>
type RouteResponseOf<C extends Contract, N extends RouteName<C>> = RouteResponse<
  RouteField<C, N, 'result'> extends undefined ? unknown : RouteField<C, N, 'result'>
>

/**
 * Everything a plugin sees of the host.
 *
 * The life of a plugin, and what is guaranteed:
 *
 * 1. **Found.** The host reads `package.json` and `contract.json`. No code has run; a disabled plugin stays here.
 * 2. **Needs.** All of `needs` is there, or the plugin is `unavailable` with a sentence and comes back here when that changes.
 * 3. **Imported**, once in the life of the process: the host's, where changed code waits for its restart, or one of the plugin's own,
 *    which changed code replaces.
 * 4. **`start(context)`**, with 15 s to finish. It registers a handler for every command of the contract; one that is missing
 *    fails the start. If it throws or is late, what it owned is released and the state is `failed`; it is tried again
 *    after 1, 2, 4 and 8 s. Five failures in five minutes: `quarantined`.
 * 5. **`running`.** Commands arrive, validated and authorized. `whileSubscribed` work starts with the first subscriber
 *    and ends with the last. Subscriptions made before now count: they get their snapshots now.
 * 6. **Stop**, with 5 s: because of a need, a setting, an owner's wish or the host's end. New commands are answered
 *    `MODULE_*`; `signal` is aborted; those in flight are answered; `whileSubscribed` work ends; what is owned is
 *    released, last first. Then every retained value is forgotten. Steps 4 to 6 may repeat with a new context.
 */
export type Context<C extends Contract> = Owner &
  Group<C> &
  Capabilities<C> & {
    readonly id: C['id']
    /** Validated, with defaults. A change in `plugins.json` restarts the plugin. */
    readonly settings: Settings<C>
    readonly log: Log
    /** The same for a further namespace of the contract. */
    namespace<K extends keyof NonNullable<C['namespaces']> & string>(name: K): Group<NonNullable<C['namespaces']>[K]>
    /** The value of a retained event, asked for when somebody subscribes instead of being kept. */
    provide<N extends EventName<C>>(event: N, value: () => EventPayload<C, N> | Promise<EventPayload<C, N>>): void
    /**
     * Runs `work` when the first subscriber comes; what it owns or returns is released when the last has left. What it
     * publishes is forgotten then, so that nobody is shown a stale value. If it throws, subscribers hear the error and it
     * is run again for the next one.
     */
    whileSubscribed(work: (watch: Watch<C>) => Release | void | Promise<Release | void>): void
    /** Runs for every new subscription, also the first, after its snapshots were sent. */
    onSubscribe(listener: () => void | Promise<void>): void
    /**
     * Runs when a client has left the plugin's namespaces, subscribed or not, or its roles changed and it may not subscribe (any more),
     * with its id: for what a client wished that outlives a command.
     */
    onDisconnect(listener: (clientId: string) => void | Promise<void>): void
    /**
     * Runs whenever something has come in from a client of a user on the plugin's namespaces, a sign of life too, until it is released:
     * for what must know that somebody is still reached. Of a plugin in a process of its own, once a second for each user.
     */
    onHeard(listener: (userId: string) => void): () => void
    /**
     * Answers an HTTP route of the contract. A declared error is answered as `{ success: false, code, error }` with its `status`; anything
     * else that is thrown, or takes more than 10 s, is answered 500 and logged.
     */
    serve<N extends RouteName<C>>(
      route: N,
      handler: (request: RouteRequestOf<C, N>) => RouteResponseOf<C, N> | Promise<RouteResponseOf<C, N>>,
    ): void
    /** What the plugin's drivers find when somebody asks what is missing, beside its `needs`. */
    diagnose(check: () => readonly Finding[] | Promise<readonly Finding[]>): void
    /** Makes an error with a declared code. Without a message the contract's sentence is used. */
    error(code: ErrorCode<C>, message?: string, extra?: { details?: unknown; retryAfter?: number; status?: number }): CodedError
    /** Tells the module's subscribers, or those whom it concerns, of a failure that belongs to no command. */
    publishError(code: ErrorCode<C>, message?: string, details?: unknown, target?: Target): void
    /** Something broke that only a new start mends: stops the plugin, state `failed`, and tries again. */
    fail(reason: string): void
  }

export interface Plugin<C extends Contract = Contract> {
  readonly contract: C
  start(context: Context<C>): void | Promise<void>
}

/** Returns its arguments as one value, the plugin package's default export. */
export function definePlugin<const C extends Contract>(
  contract: C,
  { start }: { start(context: Context<C>): void | Promise<void> },
): Plugin<C> {
  return { contract, start }
}
