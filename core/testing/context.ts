import { Server } from 'socket.io'
import { Access } from '../auth/access.ts'
import type { Capabilities, DBus, Exec, Finding } from '../plugin/capabilities.ts'
import type { Call, Caller, Context, Plugin, RouteRequest, RouteResponse } from '../plugin/context.ts'
import type { CommandName, Contract, EventName, RouteName } from '../plugin/contract.ts'
import { createDBus } from '../process/dbus-capability.ts'
import { Run } from '../process/run.ts'
import { createStore } from '../process/store.ts'
import { acknowledge, failureOf } from '../wire/acknowledge.ts'
import { refuse } from '../wire/errors.ts'
import { Hub, roomOf } from '../wire/hub.ts'
import { type Command, Module } from '../wire/module.ts'
import { Observers } from '../wire/observers.ts'
import { loadValidator, settingsCheck, validate } from '../wire/validate.ts'
import type { FakeClients } from './fake-clients.ts'
import type { Remembering } from './fakes.ts'
import type { Answer } from './types.ts'

export interface TestContextOptions {
  /** As in plugins.json; defaults are filled in. */
  readonly settings?: object
  /** Such as `fakeDBus({ … })`. Asked only for the services that the contract names. */
  readonly dbus?: DBus
  /** Such as `fakeExec({ … })`. Asked only for the programs that the contract names. */
  readonly exec?: Exec
  /** Those who are connected, by `fakeClients()`. Asked only if the contract names `clients`. */
  readonly clients?: FakeClients
}

/** Something that a plugin said. */
export interface Published {
  readonly event: string
  readonly payload: unknown
  /** Of an `addressed` event: a client's id, `user:<user id>` or `room:<module>:<room>`. */
  readonly to?: string
}

/** A plugin's context without a host: what the plugin does with it is written down, and the test plays the clients. */
export interface TestContext<C extends Contract> {
  readonly context: Context<C>
  /** Every event, in order. What does not fit the contract is thrown at the plugin, as in development. */
  readonly published: readonly Published[]
  /** What subscribers would hear on `error`, in order. */
  readonly errors: ReadonlyArray<{ readonly code: string; readonly message: string; readonly details?: unknown }>
  readonly log: ReadonlyArray<{ readonly level: string; readonly fields: object; readonly message?: string | undefined }>
  /** Why it failed while it ran, if it called `fail`. */
  readonly failure: string | undefined
  /** Runs `start`. Rejects as the host would fail it: what it throws, a command without a handler, settings that do not fit. */
  start(plugin: Pick<Plugin<C>, 'start'>): Promise<void>
  /** Gives a command as a client whom the host let through: its payload is validated, its answer is what the client would get. */
  call(command: CommandName<C>, payload?: unknown, caller?: Partial<Caller>): Promise<Answer>
  /** The first subscriber comes, or a further one: `whileSubscribed` and `onSubscribe` begin. */
  subscribe(): void
  /** The last one leaves. */
  unsubscribe(): void
  /** A client leaves; `call` gives commands as `c1` unless told otherwise. */
  disconnect(clientId: string): void
  /** Something comes in from a client of this user. */
  hear(userId: string): void
  /** The next value of an event. */
  next(event: EventName<C>): Promise<unknown>
  /** What a new subscriber would be shown. */
  retained(event: EventName<C>): unknown
  request(route: RouteName<C>, request?: Partial<RouteRequest>): Promise<RouteResponse>
  diagnose(): Promise<readonly Finding[]>
  /** Releases what the plugin owns. Rejects if a release threw, or a fake was asked what was not scripted. */
  stop(): Promise<void>
}

const someone: Caller = {
  clientId: 'c1',
  userId: 'local:owner',
  sessionId: 's1',
  roles: ['owner'],
  claims: {},
  namespace: '/',
  localAddress: '127.0.0.1',
}

/** Writes down what is published; with no client connected nothing leaves it. */
class WritingHub extends Hub {
  readonly published: Published[] = []
  readonly errors: Array<{ code: string; message: string; details?: unknown }> = []
  readonly waiting = new Set<(published: Published) => void>()

  override publish(...[module, group, event, definition, payload, target]: Parameters<Hub['publish']>): void {
    super.publish(module, group, event, definition, payload, target)
    const said = { event, payload, ...(target && { to: roomOf(module, target) }) }
    this.published.push(said)
    for (const listener of [...this.waiting]) listener(said)
  }

  override publishError(_module: Module, error: { code: string; message: string; details?: unknown }): void {
    this.errors.push(error)
  }
}

/** Makes one. Nothing of a host runs: no socket, no files, no needs, nobody's rights. `stop()` it at the end of the test. */
export async function createTestContext<const C extends Contract>(
  contract: C,
  { settings: given = {}, ...fakes }: TestContextOptions = {},
): Promise<TestContext<C>> {
  await loadValidator()
  const log: Array<{ level: string; fields: object; message?: string | undefined }> = []
  const at = (level: string) => (fields: object, message?: string) => void log.push({ level, fields, message })
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  const { settings, problem } = settingsCheck(contract.settings, given)
  const module = new Module(contract, '/')
  const hub = new WritingHub({
    io: new Server(),
    policies: new Map(),
    coreCommands: new Map(),
    access: () => new Access({ users: {}, roles: {} }),
    maxBacklog: () => 1,
    observers: new Observers(logger),
  })
  let failure: string | undefined
  const run = new Run({
    hub,
    module,
    log: logger,
    settings,
    capabilities: capabilitiesOf(contract, fakes),
    development: true,
    onFail: (reason) => {
      failure = reason
    },
  })

  return {
    context: run.context as unknown as Context<C>,
    published: hub.published,
    errors: hub.errors,
    log,
    get failure() {
      return failure
    },
    async start(plugin) {
      if (problem) throw new Error(`Its settings in plugins.json do not fit: ${problem}.`)
      module.compile()
      await run.start(async () => plugin as unknown as Plugin, 15_000)
      run.goLive()
      fakes.clients?.bind(() => module.audience)
    },
    call: (name, payload, caller) => {
      const command = [...module.groups.values()].flatMap(({ commands }) => commands.get(name) ?? [])[0]
      if (!command) throw new Error(`The contract of ${contract.id} has no command "${name}".`)
      return give(command, payload, { ...someone, ...caller })
    },
    subscribe: () => module.audience?.joined(),
    unsubscribe: () => module.audience?.last(),
    disconnect: (clientId) => module.audience?.left(clientId),
    hear: (userId) => module.audience?.heard?.(userId),
    next: (event) =>
      new Promise((resolve) => {
        const listener = (published: Published) => {
          if (published.event !== event) return
          hub.waiting.delete(listener)
          resolve(published.payload)
        }
        hub.waiting.add(listener)
      }),
    retained: (event) => module.groups.get('')?.retained.get(event),
    async request(name, request = {}) {
      const handler = module.routes.get(name)?.handler
      if (!handler) throw new Error(`Nothing serves "${name}".`)
      const { userId, roles, claims, localAddress: address } = someone
      const path = name.replace(/^\S+ /, '')
      const caller = { userId, roles, claims }
      const { signal } = run.context
      return handler({ path, params: {}, query: {}, body: undefined, caller, address, signal, ...request })
    },
    diagnose: () => run.diagnose(5000),
    async stop() {
      await run.end()
      module.clear()
      const asked = ([fakes.dbus, fakes.exec] as Array<Partial<Remembering<unknown>> | undefined>).flatMap(
        (fake) => fake?.unexpected ?? [],
      )
      const releases = log.filter(({ message }) => message === 'a release failed').map(({ fields }) => fields)
      if (asked.length > 0) throw new Error(`The plugin asked what the test did not script:\n${asked.join('\n')}`)
      if (releases.length > 0) throw new Error('A release failed.', { cause: releases[0] })
    },
  }

  async function give(command: Command, payload: unknown, caller: Caller): Promise<Answer> {
    const after: Array<() => unknown> = []
    const late = new AbortController()
    // Held by its timer: a timeout that only AbortSignal.any() knows is forgotten by Node.js 20.
    const timer = setTimeout(() => late.abort(refuse('TIMEOUT')), command.timeoutMs)
    const call: Call = {
      caller,
      signal: AbortSignal.any([run.context.signal, late.signal]),
      afterAck: (work) => void after.push(work),
      suspendDeadline: () => () => undefined,
    }
    let answer: Answer = { success: false }
    const ack = (value: object) => {
      answer = value as Answer
    }
    try {
      validate(command, payload)
      const result = await command.handler?.(payload, call)
      const misfit = command.checkResult?.(result)
      if (misfit) throw new Error(`${command.name} answered what its contract does not say: ${misfit}`)
      acknowledge(ack, result)
    } catch (error) {
      const { message, ...failure } = failureOf(error, contract, logger)
      // What is undefined is not in the JSON.
      answer = JSON.parse(JSON.stringify({ success: false, ...failure, error: message })) as Answer
    } finally {
      clearTimeout(timer)
    }
    for (const work of after) await work()
    return answer
  }
}

/** As the host would give them: those that the contract names, and none that the test did not bring. */
function capabilitiesOf({ capabilities = {} }: Contract, { dbus, exec, clients }: TestContextOptions): Capabilities<Contract> {
  const named = (program: string) => {
    if (capabilities.exec?.includes(program)) return
    throw Object.assign(new Error(`The program ${program} is not named in the contract.`), { code: 'EPERM' })
  }
  const limited: Exec | undefined = exec && {
    async run(program, ...rest) {
      named(program)
      return exec.run(program, ...rest)
    },
    async start(program, ...rest) {
      named(program)
      return exec.start(program, ...rest)
    },
  }
  return {
    ...(capabilities.store && { store: createStore({ file: ':memory:' }) }),
    ...(capabilities.dbus && dbus && { dbus: createDBus(dbus, capabilities.dbus) }),
    ...(capabilities.exec && limited && { exec: limited }),
    ...(capabilities.clients && clients && { clients: clients.operations }),
  } as unknown as Capabilities<Contract>
}
