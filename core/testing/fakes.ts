import type { DBus, DBusObjects, DBusSignal, Exec, ExecResult, Served } from '../plugin/capabilities.ts'

export type DBusRequest = Parameters<DBus['call']>[0]
/** What a method returns; an Error is what it rejects with (see `failing`); a function is asked. */
export type DBusAnswer = readonly unknown[] | Error | ((request: DBusRequest) => unknown[] | Promise<unknown[]>)
/** What a program did, success without output where nothing is said; an Error is what `run` rejects with; a function is asked. */
export type ExecAnswer =
  | Partial<ExecResult>
  | Error
  | ((args: readonly string[], options: ExecOptions) => Partial<ExecResult> | Promise<Partial<ExecResult>>)
/** Those of `run` and `start`; with `onStdout` a test has a started program say something more. */
export type ExecOptions = NonNullable<Parameters<Exec['run']>[2]> & NonNullable<Parameters<Exec['start']>[2]>

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

/** What a test does in the place of the services of a fake bus. */
export interface FakeServices {
  /** A service says something. What is left out is `/` or empty. */
  signal(service: string, signal: Partial<DBusSignal>): void
  /** All objects that a service has now, by path, interface and property. */
  setObjects(
    service: string,
    objects: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>,
  ): void
  /** A service calls what the plugin serves. Rejects with what the plugin throws. */
  callServed(service: string, path: string, interfaceName: string, method: string, ...args: unknown[]): Promise<unknown>
}

/**
 * A system bus with what a test scripts: `{ 'org.example.Lamp': { 'org.example.Lamp.Get': [42] } }`, by service and by
 * `<interface>.<method>`; those that are scripted run. A request whose arguments do not fit its signature is unexpected: a real bus would hang up.
 */
export function fakeDBus(
  services: Readonly<Record<string, Readonly<Record<string, DBusAnswer>>>>,
): DBus & Remembering<DBusRequest> & FakeServices {
  const [calls, unexpected]: [DBusRequest[], string[]] = [[], []]
  const [listeners, views] = [new Set<Parameters<DBus['onSignal']>>(), new Set<Parameters<DBus['watchObjects']>>()]
  const served = new Map<string, Served>()
  const objects = new Map<string, DBusObjects>()
  const show = ([service, { root = '/', interfaces }, onChange]: Parameters<DBus['watchObjects']>) => {
    const wanted = [...(objects.get(service) ?? [])].flatMap(([path, has]) => {
      const kept = new Map([...has].filter(([name]) => interfaces.includes(name)))
      return kept.size > 0 && isBelow(path, root) ? [[path, kept] as const] : []
    })
    onChange(new Map(wanted), new Set(wanted.map(([path]) => path)))
  }
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
    onSignal(...listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    watchObjects(...view) {
      views.add(view)
      const timer = setImmediate(() => show(view))
      return () => {
        clearImmediate(timer)
        views.delete(view)
      }
    },
    serve(path, iface, methods) {
      served.set(`${path} ${iface}`, methods)
      return () => void served.delete(`${path} ${iface}`)
    },
    signal(service, { path = '/', interface: iface = '', member = '', signature = '', args = [] }) {
      const signal = { path, interface: iface, member, signature, args }
      for (const [from, filter, listener] of listeners) {
        const fits = (key: 'interface' | 'member') => filter[key] === undefined || filter[key] === signal[key]
        if (from === service && fits('interface') && fits('member') && isBelow(path, filter.path ?? '/', true)) listener(signal)
      }
    },
    setObjects(service, all) {
      const entries = Object.entries(all).map(([path, has]) => [path, new Map(Object.entries(has))] as const)
      objects.set(service, new Map(entries))
      for (const view of views) if (view[0] === service) show(view)
    },
    async callServed(service, path, iface, method, ...args) {
      const found = own(served.get(`${path} ${iface}`), method)
      if (!found) throw failing({ dbusName: 'org.freedesktop.DBus.Error.UnknownMethod' })
      return found.handle(args, service)
    },
  }
}

/**
 * Programs with what a test scripts: `{ 'nvme list': { stdout: '…' }, df: failing({ code: 'ENOENT' }) }`, by the whole command
 * line, or by the program alone for every line that is not there itself. Nothing is started. One that `start` was asked for
 * says its `stdout` and ends if an `exitCode` is scripted, else when it is stopped; `inputs` has what was written to it.
 */
export function fakeExec(
  programs: Readonly<Record<string, ExecAnswer>>,
): Exec & Remembering<{ readonly program: string; readonly args: readonly string[] }> & { readonly inputs: readonly Buffer[] } {
  const calls: Array<{ program: string; args: readonly string[] }> = []
  const unexpected: string[] = []
  const inputs: Buffer[] = []
  const ask = async (program: string, args: readonly string[], options: ExecOptions = {}) => {
    const line = [program, ...args].join(' ')
    calls.push({ program, args })
    const answer = own(programs, line) ?? own(programs, program)
    if (answer === undefined) throw refuse(unexpected, `"${line}" is not scripted`)
    if (answer instanceof Error) throw answer
    return typeof answer === 'function' ? answer(args, options) : answer
  }
  return {
    calls,
    unexpected,
    inputs,
    run: async (...asked) => ({ exitCode: 0, stdout: '', stderr: '', ...(await ask(...asked)) }),
    async start(program, args, options = {}) {
      const { exitCode, stdout, stderr = '' } = await ask(program, args, options)
      let kill = () => {}
      const ended = new Promise<Omit<ExecResult, 'stdout'>>((resolve) => {
        kill = () => resolve({ exitCode: 137, stderr })
        if (exitCode !== undefined) resolve({ exitCode, stderr })
      })
      options.signal?.addEventListener('abort', kill)
      if (stdout) options.onStdout?.(Buffer.from(stdout))
      return {
        ended,
        write: async (piece) => void inputs.push(Buffer.from(piece)),
        end: () => undefined,
        async stop() {
          kill()
          await ended
        },
      }
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

function isBelow(path: string, root: string, orSame = false): boolean {
  return (orSame && path === root) || (path !== root && path.startsWith(root === '/' ? root : `${root}/`))
}
