import type { DBus, Exec, ExecResult } from '../plugin/capabilities.ts'

export type DBusRequest = Parameters<DBus['call']>[0]
/** What a method returns; an Error is what it rejects with (see `failing`); a function is asked. */
export type DBusAnswer = readonly unknown[] | Error | ((request: DBusRequest) => unknown[] | Promise<unknown[]>)
/** What a program did, success without output where nothing is said; an Error is what `run` rejects with; a function is asked. */
export type ExecAnswer =
  | Partial<ExecResult>
  | Error
  | ((args: readonly string[], options: Parameters<Exec['run']>[2]) => Partial<ExecResult> | Promise<Partial<ExecResult>>)

/** What every fake remembers. */
export interface Remembering<Request> {
  /** All that was asked, in order. */
  readonly calls: readonly Request[]
  /** What nothing was scripted for, as sentences; each was refused too. A test context does not stop quietly with any. */
  readonly unexpected: readonly string[]
}

/** An error as a capability rejects with: `failing({ code: 'ENOENT' })`, `failing({ dbusName: 'org.example.Error.Busy' })`. */
export function failing<F extends { code?: string; dbusName?: string }>(fields: F, message?: string): Error & F {
  return Object.assign(new Error(message ?? fields.dbusName ?? fields.code), fields)
}

/**
 * A system bus with what a test scripts: `{ 'org.example.Lamp': { 'org.example.Lamp.Get': [42] } }`, by service and by
 * `<interface>.<method>`; those that are scripted run. A request whose arguments do not fit its signature is unexpected: a real bus would hang up.
 */
export function fakeDBus(
  services: Readonly<Record<string, Readonly<Record<string, DBusAnswer>>>>,
): DBus & Remembering<DBusRequest> {
  const [calls, unexpected]: [DBusRequest[], string[]] = [[], []]
  return {
    calls,
    unexpected,
    async call(request) {
      const { service, interface: iface, method, signature = '', args = [] } = request
      const what = `${service}: ${iface}.${method}(${args.map(String).join(', ')})`
      calls.push(request)
      const { default: marshall } = await import('dbus-native/lib/marshall.js')
      try {
        marshall(signature, args)
      } catch (error) {
        throw refuse(unexpected, `${what} does not fit its signature "${signature}": ${(error as Error).message}`)
      }
      const answer = own(own(services, service), `${iface}.${method}`)
      if (answer === undefined) throw refuse(unexpected, `${what} is not scripted`)
      if (answer instanceof Error) throw answer
      return typeof answer === 'function' ? answer(request) : [...answer]
    },
    watchName(service, listener) {
      const timer = setImmediate(() => listener(Object.hasOwn(services, service)))
      return () => clearImmediate(timer)
    },
    uniqueName: async () => ':1.1',
  }
}

/**
 * Programs with what a test scripts: `{ 'nvme list': { stdout: '…' }, df: failing({ code: 'ENOENT' }) }`, by the whole command
 * line, or by the program alone for every line that is not there itself. Nothing is started.
 */
export function fakeExec(
  programs: Readonly<Record<string, ExecAnswer>>,
): Exec & Remembering<{ readonly program: string; readonly args: readonly string[] }> {
  const calls: Array<{ program: string; args: readonly string[] }> = []
  const unexpected: string[] = []
  return {
    calls,
    unexpected,
    async run(program, args, options) {
      const line = [program, ...args].join(' ')
      calls.push({ program, args })
      const answer = own(programs, line) ?? own(programs, program)
      if (answer === undefined) throw refuse(unexpected, `"${line}" is not scripted`)
      if (answer instanceof Error) throw answer
      return { exitCode: 0, stdout: '', stderr: '', ...(typeof answer === 'function' ? await answer(args, options) : answer) }
    },
  }
}

function own<T>(values: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return values && Object.hasOwn(values, name) ? values[name] : undefined
}

function refuse(unexpected: string[], sentence: string): Error {
  unexpected.push(sentence)
  return new TypeError(sentence)
}
