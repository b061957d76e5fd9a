// What the exported signatures say: nothing in here may mention a library, whose types a plugin's author does not have.
import type { PluginStatus } from '../plugin/host-control.ts'

export interface TestHostOptions {
  /** Directories of plugin packages under test; each is copied, granted what it asks for, switched on and runs as a third party's. */
  readonly plugins?: readonly string[]
  /** Ids of plugins that come with Patchbay to switch on. `host` always is. */
  readonly builtins?: readonly string[]
  /** Where the plugins under test run: in a process of their own, as a third party's do by default, or in the host's, which is this one. */
  readonly runIn?: 'host' | 'process'
  /** `settings` in plugins.json, by plugin id. */
  readonly settings?: Readonly<Record<string, object>>
  /** `auth` in plugins.json, by plugin id. */
  readonly auth?: Readonly<Record<string, object>>
  /** Mount points in plugins.json, by plugin id. */
  readonly namespaces?: Readonly<Record<string, string>>
  /** Content of host.json; the port is a free one. */
  readonly host?: object
  /** Deadlines of plugins and the first pause before one that failed is tried again, in milliseconds, where the usual are too long. */
  readonly pace?: {
    readonly startMs?: number
    readonly diagnoseMs?: number
    readonly stopMs?: number
    readonly quitMs?: number
    readonly silenceMs?: number
    readonly retryMs?: number
    /** How long a version must have run to be kept, for a later one to be rolled back to. */
    readonly keepAfterMs?: number
  }
  /** Plugins under test run in services of systemd that are laid out here. */
  readonly confinedDir?: string
  /** URL of a PostgreSQL where what comes with Patchbay keeps its data, such as `postgresql://127.0.0.1/test`; in files otherwise. */
  readonly storeUrl?: string
  /** Other hosts that this one meets: `redis://…`. */
  readonly redisUrl?: string
  /** Another system bus than the machine's, such as `unix:path=/tmp/bus`. */
  readonly busAddress?: string
  /** Roles in access.json beside the built-in ones. */
  readonly roles?: Readonly<Record<string, readonly string[]>>
}

export interface Answer {
  readonly success: boolean
  readonly code?: string
  readonly error?: string
  readonly [field: string]: unknown
}

/** What a test needs of socket.io-client's socket, without its types. */
export interface ClientSocket {
  readonly id?: string | undefined
  readonly connected: boolean
  on(event: string, listener: (...values: never[]) => void): unknown
  once(event: string, listener: (...values: never[]) => void): unknown
  off(event?: string, listener?: (...values: never[]) => void): unknown
  emit(event: string, ...values: unknown[]): unknown
  close(): unknown
}

/** A client that is logged in. */
export interface TestClient {
  readonly socket: ClientSocket
  readonly sessionToken: string
  /** Sends a command and resolves with its ack. */
  ask(command: string, payload?: unknown): Promise<Answer>
  /** Resolves with the next value of an event, or of one that fits; rejects when none has come within `withinMs` milliseconds (10 s). */
  next<T = unknown>(event: string, fits?: (value: T) => boolean, withinMs?: number): Promise<T>
}

export interface TestVisit {
  readonly roles?: readonly string[]
  /** Default `alice`. */
  readonly subject?: string
  /** The plugin's name for the namespace; by default its mount. */
  readonly group?: string
  /** What it sends in its handshake beside the token, or in its place. */
  readonly auth?: object
}

/** A client of a plugin that goes by tokens. */
export interface TestVisitor extends Omit<TestClient, 'sessionToken'> {
  /** All events with what they carried, from the first. */
  readonly heard: ReadonlyArray<readonly [event: string, payload: unknown]>
}

/** A real host on a free port of 127.0.0.1, with configuration and data in a directory of its own. */
export interface TestHost {
  readonly url: string
  readonly configDir: string
  readonly dataDir: string
  /** Where a plugin package can be dropped in. */
  readonly pluginDir: string
  readonly botToken: string
  /** What the host has logged, as JSON lines. */
  readonly log: readonly string[]
  /** Connects a user who has this role, with init data that is really signed. Each call is another user unless `id` says who. */
  client(role?: string, id?: number): Promise<TestClient>
  /**
   * Connects to a plugin that goes by tokens: with a token for `roles`, or without one if there are none. Each call comes from another
   * loopback address.
   */
  visit(plugin: string, visit?: TestVisit): Promise<TestVisitor>
  /** A token of Patchbay's own for a plugin whose policy is `jwt`; by default of `alice`, for an hour. */
  token(
    plugin: string,
    roles: readonly string[],
    more?: { readonly subject?: string; readonly lifetimeS?: number },
  ): Promise<string>
  /** Init data as Telegram would sign it for the test's bot. */
  initData(id: number, fields?: Readonly<Record<string, string>>): string
  /** Puts a user on the access list without connecting. */
  allow(id: number, role: string): Promise<void>
  writeConfig(file: 'plugins' | 'access' | 'host', content: object): Promise<void>
  /** Resolves with a plugin's status as soon as it is in one of these states. */
  reached(id: string, ...states: Array<PluginStatus['state']>): Promise<PluginStatus>
  /** Every plugin with its state. */
  status(): readonly PluginStatus[]
  /** How many clients are subscribed to a module. */
  subscribers(id: string): number
  stop(): Promise<void>
}
