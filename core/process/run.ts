import type { Capabilities, ConnectedClient, Finding } from '../plugin/capabilities.ts'
import type { CodedError, Context, Log, Plugin, Target } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import { type CoreCode, coreErrors } from '../wire/errors.ts'
import type { Hub } from '../wire/hub.ts'
import type { Event, Group, Handler, Module, Route } from '../wire/module.ts'
import { answer } from './answer-route.ts'
import { within } from './deadline.ts'
import { RunClients } from './run-clients.ts'
import { Scope } from './scope.ts'
import type { OwnedStore } from './store.ts'
import { WhileSubscribed } from './while-subscribed.ts'

type Work = Parameters<Context<Contract>['whileSubscribed']>[0]

/** What a run says to the world: to the hub, or to the host's process. */
export type Outlet = Pick<Hub, 'publish' | 'publishError' | 'forget' | 'provide' | 'sendSnapshots'>

export interface RunParts {
  readonly hub: Outlet
  readonly module: Module
  readonly log: Log
  readonly settings: unknown
  readonly capabilities: Capabilities<Contract>
  /** Checks what is published against the contract. */
  readonly development: boolean
  /** It failed while it ran. Called once at most. */
  readonly onFail: (reason: string) => void
  /** Whether it listens to who is heard, whenever that may have changed. */
  readonly onListen?: (isListening: boolean) => void
}

/**
 * One run of a plugin, from its start to its stop: the context it is given, and everything that ends with it. Once it ends,
 * whatever the plugin still does with its context is without effect.
 */
export class Run {
  readonly context: Context<Contract>
  readonly #parts: RunParts
  readonly #scope: Scope
  readonly #works: WhileSubscribed[] = []
  readonly #listeners: Array<() => void | Promise<void>> = []
  readonly #farewells: Array<(clientId: string) => void | Promise<void>> = []
  readonly #heard = new Set<(userId: string) => void>()
  readonly #clients: RunClients | undefined
  readonly #diagnoses: Array<() => readonly Finding[] | Promise<readonly Finding[]>> = []
  #onFailure: ((reason: string) => void) | undefined

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#scope = new Scope((error) => parts.log.error({ err: error }, 'a release failed'))
    const { store, clients } = parts.capabilities as { readonly store?: unknown; readonly clients?: unknown }
    if (store) this.#scope.own(store as OwnedStore)
    this.#clients = clients === undefined ? undefined : new RunClients({ ...parts, clients: clients as ClientOps })
    this.context = this.#createContext()
  }

  /** Starts the plugin. Rejects if it throws, fails, leaves a command without a handler or is late. */
  async start(load: () => Promise<Plugin>, deadlineMs: number): Promise<void> {
    const broken = new Promise<never>((_, reject) => {
      this.#onFailure = (reason) => reject(new Error(reason))
    })
    const begin = async () => {
      const plugin = await load()
      this.#scope.signal.throwIfAborted()
      await plugin.start(this.context)
    }
    await within(Promise.race([begin(), broken]), deadlineMs, `it did not start within ${deadlineMs / 1000} s`)
    const commands = [...this.#parts.module.groups.values()].flatMap((group) => [...group.commands.values()])
    const missing = commands.find(({ handler }) => !handler)
    if (missing) throw new Error(`its contract declares the command ${missing.name}, which it does not handle`)
    const unserved = [...this.#parts.module.routes.values()].find(({ handler }) => !handler)
    if (unserved) throw new Error(`its contract declares the route ${unserved.name}, which it does not serve`)
  }

  /** It broke: while it starts, that ends the start. */
  fail(reason: string): void {
    this.#onFailure?.(reason)
    this.#onFailure = undefined
  }

  /** What its drivers find, if they say it in time. */
  async diagnose(deadlineMs: number): Promise<readonly Finding[]> {
    const late = `it did not say within ${deadlineMs / 1000} s what it finds`
    const asked = this.#diagnoses.map(async (check) => within(Promise.resolve(check()), deadlineMs, late))
    const found = await Promise.allSettled(asked)
    return found.flatMap((each) => (each.status === 'fulfilled' ? each.value : [unable(each.reason)]))
  }

  /** The plugin runs: subscribers, also those who came before, set its work going. */
  goLive(): void {
    const { module, hub, onFail } = this.#parts
    this.#onFailure = onFail
    const joined = () => {
      for (const work of this.#works) work.start()
      // Work begins a microtask later, and before these.
      for (const listener of this.#listeners) queueMicrotask(() => void this.#guarded(listener))
    }
    const last = () => {
      for (const work of this.#works) void work.stop()
    }
    const left = (clientId: string) => {
      for (const farewell of this.#farewells) void this.#guarded(() => farewell(clientId))
    }
    const heard = (userId: string) => {
      for (const listener of this.#heard) void this.#guarded(() => listener(userId))
    }
    const connected = (client: ConnectedClient) => this.#clients?.receive(client)
    const told = (value: unknown) => this.#clients?.hear(value)
    module.audience = { joined, last, left, heard, connected, told }
    for (const client of module.subscribers) {
      hub.sendSnapshots(client, module)
      joined()
    }
  }

  /** Resolves when everything the plugin owned is released. */
  async end(): Promise<void> {
    this.#parts.module.audience = undefined
    this.#onFailure = undefined
    this.#scope.abort()
    await Promise.all(this.#works.map((work) => work.stop()))
    await this.#scope.end()
  }

  get #isOver(): boolean {
    return this.#scope.signal.aborted
  }

  #createContext(): Context<Contract> {
    const { hub, module, log, settings, capabilities } = this.#parts
    const scope = this.#scope
    const members = {
      ...this.#group(''),
      ...capabilities,
      ...(this.#clients && { clients: this.#clients.capability }),
      id: module.id,
      settings,
      log,
      signal: scope.signal,
      own: scope.own.bind(scope),
      namespace: (name: string) => this.#group(name),
      provide: (event: string, value: () => unknown) => {
        this.#event(this.#groupNamed(''), event)
        if (!this.#isOver) hub.provide(module, event, () => this.#guarded(value))
      },
      whileSubscribed: (work: Work) => void this.#works.push(this.#createWork(work)),
      onSubscribe: (listener: () => void | Promise<void>) => void this.#listeners.push(listener),
      onDisconnect: (listener: (clientId: string) => void) => void this.#farewells.push(listener),
      onHeard: (listener: (userId: string) => void) => {
        // one that is added twice is told twice
        const own = (userId: string) => listener(userId)
        const told = () => this.#parts.onListen?.(this.#heard.size > 0)
        this.#heard.add(own)
        told()
        return () => void (this.#heard.delete(own) && told())
      },
      serve: (name: string, handler: Route['handler']) => {
        const route = module.routes.get(name)
        if (!route) throw new Error(`The contract of ${module.id} has no route "${name}".`)
        if (!this.#isOver && handler) route.handler = (request) => answer(route, request, handler, this.#parts.development)
      },
      diagnose: (check: () => readonly Finding[]) => void this.#diagnoses.push(check),
      error: this.#error.bind(this),
      publishError: (code: string, text?: string, details?: unknown, target?: Target) => {
        const { message } = this.#error(code, text)
        if (!this.#isOver) hub.publishError(module, { code, message, ...(details !== undefined && { details }) }, target)
      },
      fail: (reason: string) => this.fail(reason),
    }
    return members as unknown as Context<Contract>
  }

  #groupNamed(name: string): Group {
    const { module } = this.#parts
    const group = module.groups.get(name)
    if (!group) throw new Error(`The contract of ${module.id} has no namespace "${name}".`)
    return group
  }

  #event(group: Group, name: string): Event {
    const event = group.events.get(name)
    if (!event) throw new Error(`The contract of ${this.#parts.module.id} has no event "${name}".`)
    return event
  }

  #group(name: string): object {
    const { module } = this.#parts
    const group = this.#groupNamed(name)
    return {
      publish: (event: string, payload?: unknown) => this.#publish(group, event, payload),
      forget: (event: string) => this.#forget([event]),
      send: (target: Target, event: string, payload?: unknown) => this.#publish(group, event, payload, target),
      handle: (command: string, handler: Handler) => {
        const declared = group.commands.get(command)
        if (!declared) throw new Error(`The contract of ${module.id} has no command "${command}".`)
        if (this.#isOver) return
        if (declared.handler) throw new Error(`"${command}" is handled already.`)
        declared.handler = handler
      },
    }
  }

  #forget(events: Iterable<string>): void {
    const { hub, module } = this.#parts
    if (!this.#isOver) hub.forget(module, events)
  }

  #publish(group: Group, name: string, payload: unknown, target?: Target): void {
    const { hub, module, development } = this.#parts
    if (this.#isOver) return
    const event = this.#event(group, name)
    if ((event.definition.to === 'addressed') !== (target !== undefined))
      throw new Error(`"${name}" is ${target ? 'not ' : ''}an addressed event.`)
    const problem = development ? event.check(payload) : undefined
    if (problem) throw new Error(`"${name}" does not fit its contract: ${problem}`)
    hub.publish(module, group, name, event, payload, target)
  }

  #createWork(work: Work): WhileSubscribed {
    const published = new Set<string>()
    const group = this.#groupNamed('')
    const run = (scope: Scope) =>
      work({
        signal: scope.signal,
        own: scope.own.bind(scope),
        forget: (event: string) => {
          if (!scope.signal.aborted) this.#forget([event])
        },
        publish: (event: string, payload?: unknown) => {
          if (scope.signal.aborted) return
          published.add(event)
          this.#publish(group, event, payload)
        },
      } as unknown as Parameters<Work>[0])
    const onEnd = () => {
      this.#forget(published)
      published.clear()
    }
    return new WhileSubscribed(run, (error) => this.#report(error, 'work for subscribers failed'), onEnd)
  }

  async #guarded(work: () => unknown): Promise<unknown> {
    try {
      return await work()
    } catch (error) {
      this.#report(error, 'a listener of the plugin failed')
      return undefined
    }
  }

  /** A failure that no command asked for, for the log and the subscribers: its code if that is declared, else INTERNAL. */
  #report(error: unknown, what: string): void {
    const { hub, module, log } = this.#parts
    log.error({ err: error }, what)
    if (this.#isOver) return
    const { code, message } = (error ?? {}) as Partial<CodedError>
    const isDeclared = code !== undefined && Object.hasOwn(module.contract.errors ?? {}, code)
    hub.publishError(module, isDeclared ? { code, message: message ?? '' } : { code: 'INTERNAL', message: coreErrors.INTERNAL })
  }

  #error(code: string, message?: string, extra: { details?: unknown; retryAfter?: number; status?: number } = {}): CodedError {
    const { id, contract } = this.#parts.module
    const declared = { ...coreErrors, ...contract.errors }
    if (!Object.hasOwn(declared, code)) throw new Error(`The contract of ${id} has no error code "${code}".`)
    return Object.assign(new Error(message ?? declared[code as CoreCode]), { code, ...extra })
  }
}

function unable(reason: unknown): Finding {
  const said = reason instanceof Error ? reason.message : String(reason)
  return { kind: 'driver', name: 'check', ok: false, optional: true, sentence: `A check of its own failed: ${said}` }
}
