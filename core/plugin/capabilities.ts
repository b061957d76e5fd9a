import type { Contract } from './contract.ts'

/** Calls to services on the system bus, as promises. Integers of 64 bits are BigInt, byte arrays are Buffers, variants are plain. */
export interface DBus {
  /**
   * Calls a method. `signature` and `args` must fit: a wrong type costs the whole connection.
   * Rejects with an Error whose `dbusName` is the error's name, such as `org.freedesktop.DBus.Error.ServiceUnknown`.
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
}

export interface ExecResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface Exec {
  /**
   * Starts a program named in the contract with an argument list and waits for its end. It inherits only PATH, HOME and
   * a UTF-8 locale. Rejects with `code` `ENOENT` (not installed), `ETIMEDOUT` (killed at its deadline; default 10 s) or
   * `EFBIG` (more than `maxBytes` of output; default 1 MiB). An exit code other than 0 does not reject.
   */
  run(
    program: string,
    args: readonly string[],
    options?: { timeoutMs?: number; maxBytes?: number; signal?: AbortSignal },
  ): Promise<ExecResult>
}

/** A plugin's row on `host:plugins`. */
export interface PluginStatus {
  readonly id: string
  readonly state: 'disabled' | 'unavailable' | 'starting' | 'running' | 'failed' | 'quarantined' | 'stopping'
  /** A sentence: why it is in this state and what mends it. */
  readonly reason?: string
  readonly description?: string
  readonly version: string
  /** It lies in the directory of those that come with Patchbay. */
  readonly builtin: boolean
  readonly namespace: string
  /** Its code changed on disk; a restart of the host loads it. */
  readonly restartPending?: boolean
  /** When the state was reached, milliseconds since the epoch. */
  readonly since: number
}

/** A problem in a configuration file; the last good content is in force. */
export interface ConfigProblem {
  readonly file: string
  readonly line: number
  readonly message: string
}

export interface SessionInfo {
  readonly id: string
  readonly userId: string
  /** As given by the auth strategy; text from outside. */
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly lastUsedAt: number
  readonly expiresAt: number
  /** Connected sockets now. */
  readonly clients: number
  /** Attempts to use a token of it that had been replaced: a copy of it may be in other hands. */
  readonly refusedTokens: Array<{ readonly at: number; readonly address: string }>
}

/** The host's controls, for the `host` module. Every change is written to the configuration files and then takes effect. */
export interface HostControl {
  plugins(): PluginStatus[]
  configProblems(): ConfigProblem[]
  /** Called after every change of what the two above return. */
  onChange(listener: () => void): () => void
  setEnabled(id: string, enabled: boolean): Promise<void>
  /** Stops and starts a plugin; also releases it from quarantine. */
  restart(id: string): Promise<void>
  sessions(userId?: string): SessionInfo[]
  /** Ends a session; with `userId` only if it is that user's. False if there is no such session. */
  revoke(sessionId: string, userId?: string): boolean
  /** Tells when a replaced token was used again. */
  onTokenReuse(listener: (session: SessionInfo) => void): () => void
}

export interface AllCapabilities {
  readonly dbus: DBus
  readonly exec: Exec
  readonly host: HostControl
}

/** The capabilities that a contract names. */
export type Capabilities<C extends Contract> = Pick<AllCapabilities, keyof NonNullable<C['capabilities']> & keyof AllCapabilities>
