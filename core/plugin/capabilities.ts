import type { Target } from './context.ts'
import type { Contract } from './contract.ts'
import type { HostControl } from './host-control.ts'
import type { Store } from './store.ts'

/** A signal of a service. */
export interface DBusSignal {
  readonly path: string
  readonly interface: string
  readonly member: string
  /** Of `args`, such as `sa{sv}as`. */
  readonly signature: string
  readonly args: readonly unknown[]
}

/** Which signals; what is left out is not looked at. */
export interface SignalFilter {
  /** This object and those below it. */
  readonly path?: string
  readonly interface?: string
  readonly member?: string
}

/** Objects by their path; of each its interfaces by name; of each its properties. */
export type DBusObjects = ReadonlyMap<string, ReadonlyMap<string, Readonly<Record<string, unknown>>>>

/** The methods of an object that a plugin offers, by name. */
export type Served = Readonly<
  Record<
    string,
    {
      /** Signature of the arguments, such as `ou`; a call that does not fit is refused. */
      readonly in: string
      /** Signature of the answer. With none what the handler returns is ignored, with several values it returns a list. */
      readonly out: string
      /** `service` is who called. An Error with a `dbusName` becomes that D-Bus error; any other is told as failed, without its words. */
      readonly handle: (args: readonly unknown[], service: string) => unknown
    }
  >
>

/**
 * Services on the system bus, which the contract names. Integers of 64 bits are BigInt, byte arrays are Buffers, variants are
 * plain, dictionaries with keys of text are objects. While somebody watches, listens or serves, the connection to the bus stays open,
 * and with it what a service keeps for its caller; none of it keeps the process alive.
 */
export interface DBus {
  /**
   * Calls a method. `signature` and `args` must fit. Rejects with an Error whose `dbusName` is the error's name, such as
   * `org.freedesktop.DBus.Error.ServiceUnknown`; `...NoReply` after `timeoutMs` (default 10 s), `...InvalidArgs` for arguments
   * that do not fit, `...Disconnected` without a bus. A service that is not running may be started by it.
   */
  call(request: {
    service: string
    path: string
    interface: string
    method: string
    signature?: string
    args?: readonly unknown[]
    timeoutMs?: number
  }): Promise<unknown[]>
  /**
   * Tells whether a service runs: first as soon as it is known, then at every change, and again, perhaps with the same
   * answer, when the bus came or went. A service that could be started but is not running, is not.
   */
  watchName(service: string, listener: (isRunning: boolean) => void): () => void
  /**
   * By which name services know their caller, such as `:1.42`. It stays the same while somebody watches and the bus stays. Rejects
   * as `call` does.
   */
  uniqueName(): Promise<string>
  /**
   * Tells of a service's signals, in their order, until it is released; also after the service or the bus came anew. What the service
   * says because of a `call` made afterwards is not missed.
   */
  onSignal(service: string, filter: SignalFilter, listener: (signal: DBusSignal) => void): () => void
  /**
   * The objects below `root` (default `/`) that have one of these interfaces, with the properties of these, as the service's
   * `org.freedesktop.DBus.ObjectManager` at `root` tells of them (BlueZ has one at `/`, NetworkManager at `/org/freedesktop`), and
   * kept current. Tells first as soon as the objects or the service's absence is known, then after changes, several at once:
   * `changed` holds the paths of what came, changed or went. `objects` is the same map each time, current also in between; what is in
   * it is replaced, not changed. It is empty while the service is away and until a new one has told everything. A property that
   * is gone or whose value the service keeps to itself is absent. At most 10,000 objects and 16 MiB are kept; what is over is left out.
   */
  watchObjects(
    service: string,
    options: { readonly root?: string; readonly interfaces: readonly string[] },
    onChange: (objects: DBusObjects, changed: ReadonlySet<string>) => void,
  ): () => void
  /**
   * Offers an object to the services that the contract names, such as BlueZ's agent; anyone else is refused. At most 100 calls of it
   * may be under way. It stays when the bus comes anew: the service then knows nothing of it. Throws if it is offered already.
   */
  serve(path: string, interfaceName: string, methods: Served): () => void
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A program that goes on by itself. `own` it: it does not end with the plugin otherwise. */
export interface Program {
  /** Resolves when it has ended, by itself or killed, with its exit code and the last 8 KiB of its error output. Never rejects. */
  readonly ended: Promise<Omit<ExecResult, 'stdout'>>
  /**
   * Gives it input. Resolves when the next piece may come; whether it was read shows only in what the program does. Rejects with
   * `code` `EPIPE` (it had ended, or closed its input) or `ENOBUFS` (it has left more than 1 MiB unread).
   */
  write(piece: string | Uint8Array): Promise<void>
  /** Closes its input: nothing more will come. */
  end(): void
  /** Kills it, with all that it started, and resolves when it is gone. */
  stop(): Promise<void>
}

export interface Exec {
  /**
   * Starts a program named in the contract with an argument list and waits for its end. It has no input, and inherits only
   * PATH, HOME and a UTF-8 locale, where the contract needs the user's session also XDG_RUNTIME_DIR. Rejects with `code` `ENOENT` (not installed), `ETIMEDOUT` (killed at its deadline; default 10 s) or
   * `EFBIG` (more than `maxBytes` of output; default 1 MiB). An exit code other than 0 does not reject.
   */
  run(
    program: string,
    args: readonly string[],
    options?: { timeoutMs?: number; maxBytes?: number; signal?: AbortSignal },
  ): Promise<ExecResult>
  /**
   * Starts such a program and does not wait for its end. `onStdout` gets each piece of its output as it comes (none is kept) and
   * must not throw. When `signal` is aborted it is killed. Rejects with `code` `ENOENT` (not installed).
   */
  start(
    program: string,
    args: readonly string[],
    options?: { onStdout?: (piece: Uint8Array) => void; signal?: AbortSignal },
  ): Promise<Program>
}

/** Somebody who is connected to one of the plugin's namespaces. */
export interface ConnectedClient {
  readonly clientId: string
  /** As a `Caller`'s; `anonymous:<address>` for whom nothing has authenticated. */
  readonly userId: string
  readonly isAnonymous: boolean
  readonly roles: readonly string[]
  /** Those of the token. */
  readonly claims: Readonly<Record<string, unknown>>
  /** The plugin's name for the namespace: `''` is the mount itself. */
  readonly group: string
  /** An IP address. */
  readonly address: string
  /** What it sent in its handshake beside the token, as `handshake` in the contract describes it. */
  readonly auth: Readonly<Record<string, unknown>>
  /** Milliseconds since the epoch. */
  readonly connectedAt: number
  /** The rooms that it was put into. */
  readonly rooms: readonly string[]
  /** It was told of before, to an earlier run of the plugin. */
  readonly isKnown: boolean
  /** What is wrong with the token that it came with, if it was let in without. */
  readonly refusal?: string
}

/** What a token of the plugin's own says. */
export interface TokenRequest {
  /** `sub`; the user is `jwt:<subject>`. */
  readonly subject: string
  /** As the claim `role`, a text if it is one. */
  readonly roles: readonly string[]
  /** Further claims. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Seconds. */
  readonly lifetimeS: number
}

/** Who is connected to the plugin's namespaces, and their tokens. A client that is not there any more is no error. */
export interface Clients {
  /**
   * Runs for every client once it is connected, before its first command, until it is released; when the plugin starts also for those who
   * were there before. `onDisconnect` of the context tells who has left. If it throws, the client is closed.
   */
  onConnect(listener: (client: ConnectedClient) => void | Promise<void>): () => void
  list(): Promise<ConnectedClient[]>
  /** Tells this plugin on the other hosts something (a JSON value); where there are none, nobody. */
  tellPeers(value: unknown): Promise<void>
  /** Runs for what it was told on another host, until it is released. */
  onPeer(listener: (value: unknown) => void): () => void
  get(clientId: string): Promise<ConnectedClient | undefined>
  /** Puts it into a room of the plugin, which lasts until it leaves or is taken out; at most 256. False if it is not there. */
  join(clientId: string, room: string): Promise<boolean>
  leave(clientId: string, room: string): Promise<void>
  /**
   * Makes it the bearer of this token: user, roles and claims are the token's from now on. Rejects with `AUTH_INVALID` for a bad one, then
   * it stays who it was. Undefined if it is not there any more.
   */
  identify(clientId: string, token: string): Promise<ConnectedClient | undefined>
  /** Nobody knows from now on who it is. It is closed where anonymous clients are not allowed. */
  anonymize(clientId: string): Promise<void>
  /** Closes the connections of a client, a user or a room; what was sent to them before arrives first. */
  disconnect(target: Target): Promise<void>
  /**
   * Sends an `addressed` event of its namespace to a client and resolves with what it acknowledges (any JSON value). Rejects with `code`
   * `TIMEOUT` if it does not, or is not there.
   */
  ask(clientId: string, event: string, payload: unknown, timeoutMs: number): Promise<unknown>
  /** Makes a token by Patchbay's key for this plugin. `jti` names it. */
  issue(request: TokenRequest): Promise<{ readonly token: string; readonly jti: string; readonly expiresAt: number }>
  /** Whose token this is, by any of the keys that count for this plugin. Rejects with `AUTH_INVALID`. */
  verify(token: string): Promise<Pick<ConnectedClient, 'userId' | 'roles' | 'claims'>>
  /** From now on the token with this `jti`, or all that were issued to this subject until now, are bad; who is connected with one is closed. Kept on disk before it resolves. */
  revoke(what: { readonly jti: string } | { readonly subject: string }): Promise<void>
}

/** Something that a plugin needs or its driver looked for, as it was found. */
export interface Finding {
  /** `dbus`, `tool`, `device`, `polkit` and the like. */
  readonly kind: string
  readonly name: string
  readonly ok: boolean
  /** The plugin runs without it. */
  readonly optional: boolean
  /** For people. */
  readonly sentence: string
  /** A command to paste that mends it. */
  readonly mend?: string
}

export interface AllCapabilities {
  readonly dbus: DBus
  readonly exec: Exec
  readonly host: HostControl
  readonly store: Store
  readonly clients: Clients
}

/** The capabilities that a contract names. */
export type Capabilities<C extends Contract> = Pick<AllCapabilities, keyof NonNullable<C['capabilities']> & keyof AllCapabilities>
