import type { Contract } from './contract.ts'
import type { HostControl } from './host-control.ts'

/** Services on the system bus, which the contract names. Calls are promises. Integers of 64 bits are BigInt, byte arrays are Buffers, variants are plain. */
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
  /**
   * Tells whether a service runs: first as soon as it is known, then at every change, and again, perhaps with the same
   * answer, when the bus came or went. A service that could be started but is not running, is not. The listener must not
   * throw. While somebody watches, the connection to the bus stays open, and with it what a service keeps for its caller.
   */
  watchName(service: string, listener: (isRunning: boolean) => void): () => void
  /**
   * By which name services know their caller, such as `:1.42`. It stays the same while somebody watches and the bus stays. Rejects
   * as `call` does.
   */
  uniqueName(): Promise<string>
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
}

/** The capabilities that a contract names. */
export type Capabilities<C extends Contract> = Pick<AllCapabilities, keyof NonNullable<C['capabilities']> & keyof AllCapabilities>
