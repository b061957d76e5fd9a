import type { XStatic } from 'typebox/schema'

/** A JSON Schema (2020-12 keywords that ajv's default dialect knows), written by hand or built with TypeBox. */
export type JsonSchema = object

/** The built-in roles a contract can ask for, weakest first. Roles defined in `access.json` work by their grants alone. */
export type ContractRole = 'viewer' | 'operator' | 'owner'

/** How often one user may give a command: at most `max` times in any `windowMs` milliseconds. */
export interface Rate {
  readonly max: number
  readonly windowMs: number
}

/**
 * Who may use a command or a route, on a namespace whose policy is not Patchbay's own; one that says neither is refused with the
 * contract.
 */
export interface Permission {
  /** Whoever has one of these roles, by the client's token; `*` is every client with a valid one. */
  readonly roles?: readonly string[]
  /** Everybody, also those whom nothing has authenticated. */
  readonly anonymous?: true
}

export interface CommandDefinition extends Permission {
  readonly description?: string
  /** Shape of the payload. Without it the command takes none. */
  readonly payload?: JsonSchema
  /** Shape of the ack's further fields (an object). Checked in development. */
  readonly result?: JsonSchema
  /** The weakest built-in role that may give it, where the policy is Patchbay's own. Default `owner`. */
  readonly role?: ContractRole
  /** Milliseconds until it is answered `TIMEOUT` and its signal is aborted. Default 10,000. */
  readonly timeoutMs?: number
  /** Counted per user. Default 60 in 10 s. */
  readonly rate?: Rate
  /** Commands of this kind that a user may have unanswered at a time. Default 16. */
  readonly inFlight?: number
}

export interface EventDefinition {
  readonly description?: string
  /** Shape of the value. Without it the event carries none. */
  readonly payload?: JsonSchema
  /** The last value is kept and sent at once to a new subscriber. */
  readonly retained?: boolean
  /**
   * Whom it reaches: the module's `subscribers` (default), every client `connected` to the namespace,
   * or those `addressed` in each publish (a client, a user, a room).
   */
  readonly to?: 'subscribers' | 'connected' | 'addressed'
}

/** An HTTP route. Who asks sends a session token, or is a browser that the login page let in; elsewhere what the policy takes. */
export interface RouteDefinition extends Permission {
  readonly description?: string
  /** The weakest built-in role that may ask, where the policy is Patchbay's own. Default `owner`. */
  readonly role?: ContractRole
  /** Shape of what stands for the `:names` in its path: an object of texts, numbers and booleans. */
  readonly params?: JsonSchema
  /** Shape of what stands behind the `?`: an object of texts, numbers and booleans. Without it anything, as texts. */
  readonly query?: JsonSchema
  /** Shape of the body, which is JSON. Without it the route takes none. */
  readonly body?: JsonSchema
  /** Shape of the answer's `json`. Checked in development. */
  readonly result?: JsonSchema
  /** Counted per user, anonymous ones per address. Default 60 in 10 s. */
  readonly rate?: Rate
  /** Also for a program that cannot log in: it sends the plugin's own token, which `patchbay token <id>` makes. */
  readonly token?: true
}

/** What a plugin says on one Socket.IO namespace. */
export interface ContractGroup {
  /** Clients without credentials, or with bad ones, may connect; they reach what is marked `anonymous`. Not where the policy is Patchbay's own. */
  readonly anonymous?: true
  readonly commands?: Readonly<Record<string, CommandDefinition>>
  readonly events?: Readonly<Record<string, EventDefinition>>
}

/** A program the plugin starts, and how a person gets it. */
export interface ToolNeed {
  /** The Debian package that brings it. */
  readonly package: string
  /** The plugin runs without it, with less to show. */
  readonly optional?: boolean
  /** The lowest version that will do, such as `2.3`. The program is asked with `--version` and answers with a number in its text. */
  readonly version?: string
}

/** A service on the system bus, and how a person gets it. */
export interface ServiceNeed {
  /** The Debian package that brings it. */
  readonly package?: string
  /** The systemd unit that runs it, such as `bluetooth.service`. */
  readonly unit?: string
  /** The plugin runs without it, with less to do. */
  readonly optional?: boolean
  /**
   * The hardware behind it: the service must run and have an object with this interface, such as `org.bluez.Adapter1`. `root` (default
   * `/`) is where its `org.freedesktop.DBus.ObjectManager` is, `name` what a person calls such a thing, as in `Bluetooth adapter`.
   */
  readonly object?: { readonly interface: string; readonly root?: string; readonly name: string }
}

/**
 * What the machine must have. The first four are checked before the plugin starts and watched afterwards: while something is missing,
 * unless it is optional, the plugin is `unavailable` with a sentence; when it appears the plugin starts, when it vanishes the plugin
 * stops. The last two are told to whoever asks what is missing (`patchbay doctor`) and keep no plugin from running.
 */
export interface Needs {
  /** Well-known names on the system bus, running or activatable: a list, or by name how a person gets the service. */
  readonly dbus?: readonly string[] | Readonly<Record<string, ServiceNeed>>
  /** Programs on PATH, by name. */
  readonly tools?: Readonly<Record<string, ToolNeed>>
  /** Paths that must exist and be readable, such as `/dev/video0`; a `*` in the last segment stands for any characters, and one will do. */
  readonly devices?: readonly string[]
  /** The user of the daemon has a session, with lingering also while nobody is logged in: sound and the user's own services live there. */
  readonly session?: true
  /** Actions that polkit must permit to the user of the daemon, each with what it is for. */
  readonly polkit?: Readonly<Record<string, string>>
  /** Groups that the user of the daemon must be in, each with what it is for. */
  readonly groups?: Readonly<Record<string, string>>
}

/**
 * What a contract names to reach outside the plugin's process. The context holds `dbus`, `exec`, `store` and `host` if they are named, and no
 * others; the rest opens doors of a process of its own. An owner grants each item to what does not come with Patchbay.
 */
export interface CapabilityRequests {
  /** Services on the system bus it may call, by well-known name. */
  readonly dbus?: readonly string[]
  /** Programs it may start, by name. They get an argument list, never a shell. */
  readonly exec?: readonly string[]
  /** Paths outside the package that it may open with `node:fs`, each with all that is below. What it may write it may also read. */
  readonly files?: { readonly read?: readonly string[]; readonly write?: readonly string[] }
  /** Connections to this machine and others. */
  readonly network?: true
  /** Those who are connected: to be told of each, rooms, questions to a client, and tokens. Not where the policy is Patchbay's own. */
  readonly clients?: true
  /** Native addons in its `node_modules`. What holds JavaScript back does not hold them. */
  readonly addons?: true
  /** A database of its own. In a process of its own it comes with `addons`: what speaks with the file is machine code. */
  readonly store?: true
  /** The host's own controls. Only for plugins that come with Patchbay. */
  readonly host?: true
}

/** Pure data: what a plugin declares. The build writes it to `contract.json`; the host reads nothing else before the plugin is enabled. */
export interface Contract extends ContractGroup {
  /** Lower-case letters, digits and dashes, at most 32. Also the module name that clients subscribe to. */
  readonly id: string
  readonly description?: string
  /** Although it comes with Patchbay it is off until `plugins.json` switches it on. Others always are. */
  readonly optIn?: true
  /** Its code handles strangers' data with machine code: it never runs in the host's process, whatever `plugins.json` says. */
  readonly ownProcess?: true
  /**
   * Who may connect to its namespaces: `patchbay` (default) is Telegram, session token or one-time link; `jwt` a JSON Web Token, by the
   * keys that `auth` in `plugins.json` names, and by one of Patchbay's own for the tokens of `patchbay token`.
   */
  readonly policy?: string
  /** Shape of what a client may send as Socket.IO's `auth` beside `token`, for `clients`; one that sends something else is closed. Without it nothing is passed on. */
  readonly handshake?: JsonSchema
  /** Connections of one address that are let in within a minute, on each of its namespaces. */
  readonly connectionsPerMinute?: number
  /** Events of its own that tell a client of a refusal too, with `{ message, code, retryAfter? }`, by the core's code. */
  readonly refusals?: Readonly<Record<string, string>>
  /** The weakest built-in role that may subscribe. Default `viewer`. */
  readonly subscribeRole?: ContractRole
  readonly needs?: Needs
  readonly capabilities?: CapabilityRequests
  /** Shape of `settings` in `plugins.json`: an object whose properties all have defaults. */
  readonly settings?: JsonSchema
  /**
   * HTTP routes, such as `GET /html` or `PUT /api/lamps/:id`: below `/<id>`, or where the policy is not Patchbay's own below the namespace.
   */
  readonly routes?: Readonly<Record<string, RouteDefinition>>
  /** Further namespaces below the mount, by relative name: `media` on a plugin mounted at `/studio` is `/studio/media`. */
  readonly namespaces?: Readonly<Record<string, ContractGroup>>
  /** Error codes with a sentence that says what happened and what to do. */
  readonly errors?: Readonly<Record<string, string>>
}

/** Returns its argument, typed to the letter. */
export function defineContract<const C extends Contract>(contract: C): C {
  return contract
}

export type Static<S> = S extends object ? XStatic<S> : undefined
export type Commands<C extends ContractGroup> = NonNullable<C['commands']>
export type Events<C extends ContractGroup> = NonNullable<C['events']>
export type CommandName<C extends ContractGroup> = keyof Commands<C> & string
export type EventName<C extends ContractGroup> = keyof Events<C> & string
type Field<D, K extends string> = D extends { readonly [P in K]: infer S } ? Static<S> : undefined
export type CommandPayload<C extends ContractGroup, N extends CommandName<C>> = Field<Commands<C>[N], 'payload'>
export type CommandResult<C extends ContractGroup, N extends CommandName<C>> = Commands<C>[N] extends { readonly result: infer S }
  ? Static<S>
  : void
export type EventPayload<C extends ContractGroup, N extends EventName<C>> = Field<Events<C>[N], 'payload'>
export type ErrorCode<C extends Contract> = (keyof NonNullable<C['errors']> & string) | HandlerCode
export type RouteName<C extends Contract> = keyof NonNullable<C['routes']> & string
/** What a request for a route carries: `params`, `query` or `body`. */
export type RouteField<C extends Contract, N extends RouteName<C>, F extends string> = Field<NonNullable<C['routes']>[N], F>
export type Settings<C extends Contract> = Field<C, 'settings'>

/** The core's codes that a handler may answer with too. */
export type HandlerCode =
  | 'AUTH_REQUIRED'
  | 'AUTH_INVALID'
  | 'MODULE_UNAVAILABLE'
  | 'INVALID_PAYLOAD'
  | 'FORBIDDEN'
  | 'TIMEOUT'
  | 'RATE_LIMITED'
