import type { Capabilities } from '../plugin/capabilities.ts'
import type { CodedError, Context, Log, Target } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import { Scope } from './scope.ts'
import { type CoreCode, coreErrors } from '../wire/errors.ts'
import { type Hub, roomOf } from '../wire/hub.ts'
import type { Group, Handler, Module } from '../wire/module.ts'
import { WhileSubscribed } from './while-subscribed.ts'

export interface RunParts {
  readonly hub: Hub
  readonly module: Module
  readonly log: Log
  readonly settings: unknown
  readonly capabilities: Capabilities<Contract>
  /** Checks what is published against the contract. */
  readonly development: boolean
  /** The plugin says that it is broken. */
  readonly onFail: (reason: string) => void
}

/** One run of a plugin, from its start to its stop: the context it is given, and everything that ends with it. */
export class Run {
  readonly scope: Scope
  readonly #parts: RunParts
  readonly #works: WhileSubscribed[] = []
  readonly #listeners: Array<() => void | Promise<void>> = []

  constructor(parts: RunParts) {
    this.#parts = parts
    this.scope = new Scope((error) => parts.log.error({ err: error }, 'a release failed'))
  }

  get context(): Context<Contract> {
    const { module, log, settings, capabilities, onFail } = this.#parts
    const { scope } = this
    const members = {
      ...this.#group(''),
      ...capabilities,
      id: module.id,
      settings,
      log,
      signal: scope.signal,
      own: scope.own.bind(scope),
      namespace: (name: string) => this.#group(name),
      provide: (event: string, value: () => unknown) => module.providers.set(event, () => this.#guarded(value)),
      whileSubscribed: (work: Parameters<Context<Contract>['whileSubscribed']>[0]) => this.#addWork(work),
      onSubscribe: (listener: () => void | Promise<void>) => void this.#listeners.push(listener),
      error: this.#error.bind(this),
      publishError: (code: string, message?: string, details?: unknown) => {
        const { message: sentence } = this.#error(code, message)
        this.#parts.hub.publishError(module, { code, message: sentence, ...(details !== undefined && { details }) })
      },
      fail: onFail,
    }
    return members as unknown as Context<Contract>
  }

  /** Commands that the contract declares and nobody handles. */
  missingHandlers(): string[] {
    const commands = [...this.#parts.module.groups.values()].flatMap((group) => [...group.commands.values()])
    return commands.filter((command) => !command.handler).map((command) => command.name)
  }

  /** The plugin runs: subscribers, also those who came before, set its work going. */
  goLive(): void {
    const { module, hub } = this.#parts
    const startAll = () => {
      for (const work of this.#works) work.start()
    }
    module.audience = {
      first: startAll,
      joined: () => {
        startAll()
        for (const listener of this.#listeners) void this.#guarded(listener)
      },
      last: () => {
        for (const work of this.#works) void work.stop()
      },
    }
    if (module.subscribers.size === 0) return
    startAll()
    for (const client of module.subscribers) hub.sendSnapshots(client, module)
    for (const listener of this.#listeners) void this.#guarded(listener)
  }

  /** Resolves when everything the plugin owned is released and nothing of it is left on the wire. */
  async end(): Promise<void> {
    const { module } = this.#parts
    module.audience = undefined
    await Promise.all(this.#works.map((work) => work.stop()))
    await this.scope.end()
  }

  /** Takes handlers and values off the module; the next run brings its own. */
  clear(): void {
    const { module } = this.#parts
    for (const group of module.groups.values()) for (const command of group.commands.values()) command.handler = undefined
    module.providers.clear()
    module.forget()
  }

  #group(name: string): object {
    const { module } = this.#parts
    const group = module.groups.get(name)
    if (!group) throw new Error(`The contract of ${module.id} has no namespace "${name}".`)
    return {
      publish: (event: string, payload?: unknown) => this.#publish(group, event, payload),
      forget: (event: string) => module.forget([event]),
      send: (target: Target, event: string, payload?: unknown) => this.#publish(group, event, payload, target),
      handle: (name: string, handler: Handler) => {
        const command = group.commands.get(name)
        if (!command) throw new Error(`The contract of ${module.id} has no command "${name}".`)
        if (command.handler) throw new Error(`"${name}" is handled already.`)
        command.handler = handler
      },
    }
  }

  #publish(group: Group, name: string, payload: unknown, target?: Target): void {
    const { hub, module, development } = this.#parts
    if (this.scope.signal.aborted) return
    const event = group.events.get(name)
    if (!event) throw new Error(`The contract of ${module.id} has no event "${name}".`)
    if ((event.definition.to === 'addressed') !== (target !== undefined))
      throw new Error(`"${name}" is ${target ? 'not ' : ''}an addressed event.`)
    const problem = development ? event.check(payload) : undefined
    if (problem) throw new Error(`"${name}" does not fit its contract: ${problem}`)
    hub.publish(module, group, name, event, payload, target && roomOf(module, target))
  }

  #addWork(work: Parameters<Context<Contract>['whileSubscribed']>[0]): void {
    const { module, log } = this.#parts
    const published = new Set<string>()
    const onError = (error: unknown) => {
      log.error({ err: error }, 'work for subscribers failed')
      this.#tellSubscribers(error)
    }
    const group = module.groups.get('') as Group
    const run = (scope: Scope) =>
      work({
        signal: scope.signal,
        own: scope.own.bind(scope),
        forget: (event: string) => module.forget([event]),
        publish: (event: string, payload?: unknown) => {
          if (scope.signal.aborted) return
          published.add(event)
          this.#publish(group, event, payload)
        },
      } as unknown as Parameters<typeof work>[0])
    this.#works.push(
      new WhileSubscribed(run, onError, () => {
        module.forget(published)
        published.clear()
      }),
    )
  }

  /** A failure that no command asked for: its code if it is declared, else INTERNAL. */
  #tellSubscribers(error: unknown): void {
    const { hub, module } = this.#parts
    const { code, message } = error as Partial<CodedError>
    const declared = code !== undefined && Object.hasOwn(module.contract.errors ?? {}, code)
    hub.publishError(module, declared ? { code, message: message ?? '' } : { code: 'INTERNAL', message: coreErrors.INTERNAL })
  }

  async #guarded(work: () => unknown): Promise<unknown> {
    try {
      return await work()
    } catch (error) {
      this.#parts.log.error({ err: error }, 'a listener of the plugin failed')
      this.#tellSubscribers(error)
      return undefined
    }
  }

  #error(code: string, message?: string, extra: { details?: unknown; retryAfter?: number } = {}): CodedError {
    const sentence = message ?? this.#parts.module.contract.errors?.[code] ?? coreErrors[code as CoreCode]
    if (sentence === undefined) throw new Error(`The contract of ${this.#parts.module.id} has no error code "${code}".`)
    return Object.assign(new Error(sentence), { code, ...extra })
  }
}
