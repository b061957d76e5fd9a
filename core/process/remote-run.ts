import type { Finding } from '../plugin/capabilities.ts'
import type { Call, Log, RouteRequest, RouteResponse } from '../plugin/context.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import { CommandError, refuse } from '../wire/errors.ts'
import type { Group, Module } from '../wire/module.ts'
import type { Message } from './channel.ts'
import type { StartOrder } from './child.ts'
import { thrownCopy } from './child-log.ts'
import { within } from './deadline.ts'
import * as hearsay from './hearsay.ts'
import type { Launch, LaunchRequest } from './launch.ts'
import { PluginProcess } from './plugin-process.ts'
import type { Outlet } from './run.ts'
import { Misfit, type ProcessFigures, type Running } from './running.ts'

export interface RemoteRunParts {
  readonly hub: Outlet
  readonly module: Module
  /** The plugin's own. */
  readonly log: Log
  readonly launch: Launch
  readonly request: LaunchRequest
  readonly order: Omit<StartOrder, 'entry'>
  /** What it may ask about its clients, if its contract says so. */
  readonly clients?: ClientOps | undefined
  /** How long it may give no sign of life. */
  readonly silenceMs: number
  readonly onFail: (reason: string) => void
}

/** Something that was asked of the plugin's process and is not answered. */
interface Question {
  readonly call?: Call
  /** The deadlines that it has stopped, by their numbers. */
  readonly resumes?: Map<number, () => void>
  resolve(value: unknown): void
  reject(error: Error): void
}

const mostSuspensions = 16
/** Questions about its clients that the host has not answered. */
const mostAsked = 10_000

/** A run of a plugin in a process of its own: speaks with the Child there. */
export class RemoteRun implements Running {
  readonly #parts: RemoteRunParts
  readonly #groups: ReadonlyMap<string, Group>
  readonly #questions = new Map<number, Question>()
  /** Users of whom the plugin was told within the last second that they were heard. */
  readonly #lately = new Set<string>()
  /** Whether the plugin wants to know. */
  #isListening = false
  #lastId = 0
  #asked = 0
  #process: PluginProcess | undefined
  #onStarted: (() => void) | undefined
  #onFailure: ((error: Error) => void) | undefined
  #onStopped: () => void = () => {}
  #hasStopped = false
  #isOver = false
  #hasEnded = false

  constructor(parts: RemoteRunParts) {
    this.#parts = parts
    this.#groups = new Map([...parts.module.groups.values()].map((group) => [group.namespace, group]))
  }

  async start(deadlineMs: number): Promise<void> {
    const { launch, request, order, silenceMs, log, module } = this.#parts
    const started = new Promise<void>((resolve, reject) => {
      this.#onStarted = resolve
      this.#onFailure = reject
    })
    // It may fail before anybody waits.
    started.catch(() => undefined)
    const launched = await launch(request)
    const own = new PluginProcess({
      launched,
      memoryMb: request.memoryMb,
      silenceMs,
      log,
      onMessage: (message) => this.#hear(message),
      onEnd: (reason) => this.#ended(reason),
    })
    this.#process = own
    if (this.#isOver) own.kill('It was stopped.')
    own.send('start', { ...order, entry: launched.entry })
    await within(started, deadlineMs, `it did not start within ${deadlineMs / 1000} s`)
    own.watch()
    for (const group of module.groups.values())
      for (const command of group.commands.values())
        command.handler = (payload, call) => this.#give(group.namespace, command.name, payload, call)
    for (const route of module.routes.values()) route.handler = (request) => this.#request(route.name, request)
  }

  goLive(): void {
    const { hub, module, onFail } = this.#parts
    this.#onFailure = ({ message }) => onFail(message)
    this.#send('live')
    module.audience = {
      joined: () => this.#send('joined'),
      last: () => this.#send('last'),
      left: (clientId) => this.#send('left', clientId),
      heard: (userId) => this.#tellHeard(userId),
      connected: (client) => this.#send('connected', client),
      told: (value) => this.#send('peer', value),
      reviewed: ({ caller: { clientId }, roles }) => {
        for (const [id, { call }] of this.#questions) if (call?.caller.clientId === clientId) this.#send('roles', id, roles)
      },
    }
    for (const client of module.subscribers) {
      hub.sendSnapshots(client, module)
      this.#send('joined')
    }
  }

  /** Once a second is enough for a sign of life. */
  #tellHeard(userId: string): void {
    if (!this.#isListening || this.#lately.has(userId)) return
    this.#lately.add(userId)
    setTimeout(() => this.#lately.delete(userId), 1000).unref()
    this.#send('heard', userId)
  }

  async diagnose(deadlineMs: number): Promise<readonly Finding[]> {
    // It keeps the deadline itself, and says what it found until then.
    const said = this.#ask('diagnose', deadlineMs)
    return hearsay.findings(await within(said, deadlineMs + 1000, 'its process did not say what it finds'))
  }

  end(): Promise<void> {
    this.#parts.module.audience = undefined
    this.#onFailure = undefined
    this.#isOver = true
    if (!this.#process || this.#hasEnded) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onStopped = resolve
      this.#process?.stop()
    })
  }

  async clear(): Promise<void> {
    this.#isOver = true
    if (this.#hasStopped) this.#process?.part()
    else this.#process?.kill('It was stopped.')
    await this.#process?.ended
    this.#parts.module.clear()
  }

  figures(): ProcessFigures | undefined {
    return this.#hasEnded ? undefined : this.#process?.figures()
  }

  #send(...message: Message): void {
    if (!this.#hasEnded) this.#process?.send(...message)
  }

  #ask(kind: string, ...fields: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#put({ resolve, reject }, (id) => this.#send(kind, id, ...fields))
    })
  }

  #put(question: Question, send: (id: number) => void): number {
    const id = ++this.#lastId
    if (this.#hasEnded) question.reject(refuse('MODULE_FAILED'))
    else {
      this.#questions.set(id, question)
      send(id)
    }
    return id
  }

  #give(namespace: string, name: string, payload: unknown, call: Call): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const question = { call, resumes: new Map(), resolve, reject }
      const said = payload === undefined ? [] : [payload]
      const id = this.#put(question, (id) => this.#send('call', id, namespace, name, call.caller, ...said))
      this.#forward(call.signal, id)
    })
  }

  async #request(name: string, { signal, ...request }: RouteRequest): Promise<RouteResponse> {
    const answer = new Promise((resolve, reject) => {
      const id = this.#put({ resolve, reject }, (id) => this.#send('request', id, name, request))
      this.#forward(signal, id)
    })
    return hearsay.response(await answer)
  }

  #forward(signal: AbortSignal, id: number): void {
    const onAbort = () => {
      if (!this.#questions.delete(id)) return
      const { reason } = signal
      this.#send('abort', id, ...(reason instanceof CommandError ? [reason.code, reason.message] : []))
    }
    signal.addEventListener('abort', onAbort, { once: true })
  }

  #hear(message: Message): void {
    try {
      this.#take(message)
    } catch (error) {
      this.#process?.kill(`Its process was ended: ${(error as Error).message}.`)
    }
  }

  #take([kind, ...fields]: Message): unknown {
    const { hub, module, log } = this.#parts
    const [first, second, third, fourth] = fields
    if (kind === 'answer') return this.#answered(first, second, third)
    if (kind === 'threw') return this.#questionOf(first)?.reject(hearsay.thrown(second))
    if (kind === 'log') return log[hearsay.level(first)](second as object, third as string)
    if (kind === 'stopped') {
      this.#hasStopped = true
      return this.#onStopped()
    }
    // Whatever else it does has no effect any more.
    if (this.#isOver) return undefined
    if (kind === 'publish') {
      const { group, event, target } = hearsay.event(this.#groups, first, second, third)
      return hub.publish(module, group, second as string, event, hearsay.payload(fourth), target)
    }
    if (kind === 'clients') return void this.#askClients(hearsay.number(first), hearsay.clientQuestion(second, third))
    if (kind === 'forget') return hub.forget(module, hearsay.names(module, first))
    if (kind === 'provide')
      for (const name of hearsay.names(module, [first])) return hub.provide(module, name, () => this.#provided(first))
    if (kind === 'error') return hub.publishError(module, hearsay.failure(module, first), hearsay.target(second ?? null))
    if (kind === 'listens') {
      this.#isListening = first === true
      return undefined
    }
    if (kind === 'fail') return this.#break(new Error(hearsay.text(first)))
    if (kind === 'misfit') return this.#break(new Misfit(hearsay.text(first)))
    if (kind === 'away') return this.#break(refuse('MODULE_UNAVAILABLE', hearsay.text(first)))
    if (kind === 'started') return this.#onStarted?.()
    if (kind === 'suspend') return this.#suspend(first, hearsay.number(second), hearsay.number(third))
    if (kind === 'resume') return this.#questions.get(first as number)?.resumes?.get(second as number)?.()
    throw new Error(`it said ${JSON.stringify(kind).slice(0, 80)}, which means nothing`)
  }

  #answered(id: unknown, isFollowed: unknown, value: unknown): void {
    const question = this.#questionOf(id)
    if (isFollowed === true) question?.call?.afterAck(() => this.#send('acked', id))
    question?.resolve(hearsay.payload(value))
  }

  async #askClients(id: number, { operation, args }: ReturnType<typeof hearsay.clientQuestion>): Promise<void> {
    const { clients } = this.#parts
    try {
      this.#asked++
      if (!clients) throw new Error('its contract does not ask for "clients"')
      if (this.#asked > mostAsked) throw refuse('RATE_LIMITED', 'Too many unanswered questions about clients.')
      const value = await (clients[operation] as (...args: unknown[]) => Promise<unknown>)(...args)
      this.#send('told', id, ...(value === undefined ? [] : [value]))
    } catch (error) {
      this.#send('refused', id, thrownCopy(error))
    } finally {
      this.#asked--
    }
  }

  /** Undefined if nobody waits for it any more. */
  #questionOf(id: unknown): Question | undefined {
    const question = this.#questions.get(id as number)
    this.#questions.delete(id as number)
    return question
  }

  /** The value of a retained event; none if it is gone meanwhile. */
  #provided(event: unknown): Promise<unknown> {
    return this.#ask('provide', event).catch(() => undefined)
  }

  #suspend(id: unknown, number: number, maxMs: number): void {
    const { call, resumes } = this.#questions.get(id as number) ?? {}
    if (call && resumes && resumes.size < mostSuspensions) resumes.set(number, call.suspendDeadline(maxMs))
  }

  #break(error: Error): void {
    this.#onFailure?.(error)
    this.#onFailure = undefined
  }

  #ended(reason: string): void {
    this.#hasEnded = true
    for (const { reject } of this.#questions.values()) reject(refuse('MODULE_FAILED'))
    this.#questions.clear()
    this.#onStopped()
    this.#break(new Error(reason))
  }
}
