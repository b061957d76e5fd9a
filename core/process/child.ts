import type { Duplex } from 'node:stream'
import type { ConnectedClient } from '../plugin/capabilities.ts'
import type { Caller, Log, RouteRequest } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import { checkResultShape } from '../wire/acknowledge.ts'
import { type CoreCode, refuse } from '../wire/errors.ts'
import { type Handler, Module } from '../wire/module.ts'
import { validate } from '../wire/validate.ts'
import { createCapabilities } from './capabilities.ts'
import { Channel, type Message } from './channel.ts'
import { ChildCall } from './child-call.ts'
import { ChildClients } from './child-clients.ts'
import { createChildLog, thrownCopy } from './child-log.ts'
import { ChildOutlet } from './child-outlet.ts'
import { SystemBus } from './dbus.ts'
import { judge } from './judge.ts'
import { Loader } from './loader.ts'
import { Run } from './run.ts'
import { isAway, Misfit } from './running.ts'
import type { StorePlace } from './store.ts'

/** What a plugin's process is told first. */
export interface StartOrder {
  readonly contract: Contract
  readonly mount: string
  readonly entry: string
  readonly builtin: boolean
  /** As in plugins.json. */
  readonly given: object
  readonly development: boolean
  readonly busAddress?: string | undefined
  readonly store?: StorePlace | undefined
  readonly startMs: number
}

const beatMs = 1000

/** The end of the channel where the plugin is: does what the host's RemoteRun asks. */
export class Child {
  readonly #stream: Duplex
  readonly #loader: Loader
  readonly #channel: Channel
  readonly #log: Log
  readonly #outlet: ChildOutlet
  readonly #clients = new ChildClients((...question) => this.#send('clients', ...question))
  readonly #calls = new Map<unknown, ChildCall>()
  /** Requests for routes that are being answered. */
  readonly #requests = new Map<unknown, AbortController>()
  #module: Module | undefined
  #run: Run | undefined
  #development = false
  #isCorked = false

  /** `apiUrl`: the module that `patchbay/plugin` stands for; `onEnd`: nobody listens any more. */
  constructor(stream: Duplex, apiUrl: string, onEnd: () => void) {
    this.#stream = stream
    this.#loader = new Loader(apiUrl)
    this.#log = createChildLog((...fields) => this.#channel.send(['log', ...fields], { isOptional: true }))
    this.#channel = new Channel(stream, {
      onMessage: (message) => this.#hear(message),
      onBroken: onEnd,
      onLeftOut: (count) => this.#log.warn({ leftOut: count }, 'more than the host takes: events or lines were left out'),
    })
    this.#outlet = new ChildOutlet({
      send: (message, options) => this.#channel.send(message, options),
      unsend: (key) => this.#channel.unsend(key),
    })
    let due = performance.now() + beatMs
    const beat = setInterval(() => {
      const now = performance.now()
      this.#send('beat', Math.max(0, now - due))
      due = now + beatMs
    }, beatMs)
    stream.once('close', () => {
      clearInterval(beat)
      onEnd()
    })
  }

  /** An exception came out of the plugin's code that nobody caught. */
  fail(error: unknown): void {
    this.#log.error({ err: error }, 'an exception nobody caught')
    this.#send('fail', `An exception nobody caught: ${thrownCopy(error).message}`)
  }

  #send(...message: Message): void {
    this.#channel.send(message)
  }

  #hear([kind, ...fields]: Message): void {
    // What is answered at once goes out together.
    if (!this.#isCorked) {
      this.#isCorked = true
      this.#stream.cork()
      process.nextTick(() => {
        this.#isCorked = false
        this.#stream.uncork()
      })
    }
    const hear = this.#heard[kind] as (...fields: never[]) => void
    hear(...(fields as never[]))
  }

  readonly #heard: Readonly<Record<string, (...fields: never[]) => void>> = {
    start: (order: StartOrder) => void this.#start(order),
    live: () => {
      this.#outlet.isHeard = false
      this.#run?.goLive()
    },
    joined: () => {
      this.#outlet.isHeard = true
      this.#module?.audience?.joined()
    },
    last: () => {
      this.#outlet.isHeard = false
      this.#module?.audience?.last()
    },
    left: (clientId: string) => this.#module?.audience?.left(clientId),
    connected: (client: ConnectedClient) => void this.#module?.audience?.connected?.(client),
    peer: (value: unknown) => this.#module?.audience?.told?.(value),
    told: (id: number, value: unknown) => this.#clients.told(id, value),
    refused: (id: number, error: unknown) => this.#clients.refused(id, error),
    heard: (userId: string) => this.#module?.audience?.heard?.(userId),
    call: (id: number, namespace: string, name: string, caller: Caller, payload?: unknown) =>
      this.#give(id, namespace, name, caller, payload),
    request: (id: number, name: string, request: Omit<RouteRequest, 'signal'>) => this.#request(id, name, request),
    provide: (id: number, event: string) => this.#answer(id, async () => this.#outlet.provided(event)),
    diagnose: (id: number, deadlineMs: number) => this.#answer(id, async () => this.#run?.diagnose(deadlineMs)),
    abort: (id: number, code: CoreCode = 'SESSION_EXPIRED', message?: string) => {
      const refusal = refuse(code, message)
      this.#calls.get(id)?.end(refusal)
      this.#requests.get(id)?.abort(refusal)
      this.#calls.delete(id)
    },
    roles: (id: number, roles: string[]) => this.#calls.get(id)?.setRoles(roles),
    acked: (id: number) => this.#acked(id),
    stop: () => void this.#stop(),
  }

  async #start({ contract, mount, entry, builtin, given, development, busAddress, store, startMs }: StartOrder): Promise<void> {
    const module = new Module(contract, mount)
    this.#module = module
    this.#development = development
    try {
      const settings = await judge(module, given, { builtin })
      const bus = new SystemBus(busAddress)
      const capabilities = createCapabilities(contract, { bus, clients: this.#clients.operations, ...(store && { store }) })
      const onFail = (reason: string) => this.#send('fail', reason)
      const [hub, log] = [this.#outlet, this.#log]
      const onListen = (isListening: boolean) => this.#send('listens', isListening)
      this.#run = new Run({ hub, module, log, settings, capabilities, development, onFail, onListen })
      await this.#run.start(() => this.#loader.load({ entry, builtin }), startMs)
      this.#send('started')
    } catch (error) {
      const { message } = thrownCopy(error)
      const kind = error instanceof Misfit ? 'misfit' : isAway(error) ? 'away' : 'fail'
      if (kind !== 'away') this.#log.error({ err: error }, 'could not start')
      this.#send(kind, message)
    }
  }

  async #stop(): Promise<void> {
    await this.#run?.end()
    this.#send('stopped')
    this.#stream.end()
  }

  #give(id: number, namespace: string, name: string, caller: Caller, payload: unknown): void {
    const groups = [...(this.#module?.groups.values() ?? [])]
    const command = groups.find((group) => group.namespace === namespace)?.commands.get(name)
    if (!command?.handler) return
    const { checkResult, handler } = command
    const call = new ChildCall({
      caller,
      suspend: (number, maxMs) => this.#send('suspend', id, number, maxMs),
      resume: (number) => this.#send('resume', id, number),
    })
    this.#calls.set(id, call)
    const done = (result: unknown) => {
      if (call.isOver) return
      checkResultShape(result)
      const problem = this.#development && checkResult?.(result)
      if (problem) throw new Error(`${name} answered what its contract does not say: ${problem}`)
      const isFollowed = call.after.length > 0
      this.#send('answer', id, isFollowed, ...(result === undefined ? [] : [result]))
      if (!isFollowed) this.#calls.delete(id)
    }
    const failed = (error: unknown) => {
      this.#calls.delete(id)
      this.#threw(id, error)
    }
    try {
      validate(command, payload)
      const answer = (handler as Handler)(payload, call.view)
      if (typeof (answer as { then?: unknown } | undefined | null)?.then === 'function')
        Promise.resolve(answer).then(done).catch(failed)
      else done(answer)
    } catch (error) {
      failed(error)
    }
  }

  #acked(id: number): void {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    for (const work of call?.after ?? [])
      void (async () => work())().catch((error: unknown) => this.#log.error({ err: error }, 'failed after its ack'))
  }

  #request(id: number, name: string, request: Omit<RouteRequest, 'signal'>): void {
    const handler = this.#module?.routes.get(name)?.handler
    if (!handler) return
    const abort = new AbortController()
    this.#requests.set(id, abort)
    this.#answer(id, async () => {
      try {
        const response = await handler({ ...request, signal: abort.signal })
        if ('json' in response || typeof response.body === 'string') return response
        const { body, ...rest } = response
        return { ...rest, bytes: Buffer.from(body).toString('base64') }
      } finally {
        this.#requests.delete(id)
      }
    })
  }

  #answer(id: number, work: () => Promise<unknown>): void {
    work()
      .then((value) => this.#send('answer', id, false, ...(value === undefined ? [] : [value])))
      .catch((error: unknown) => this.#threw(id, error))
  }

  #threw(id: number, error: unknown): void {
    let copy: object
    try {
      copy = thrownCopy(error)
    } catch {
      copy = { message: 'an error that cannot be read' }
    }
    this.#send('threw', id, copy)
  }
}
