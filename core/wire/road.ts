import type { Access } from '../auth/access.ts'
import type { Log } from '../plugin/context.ts'
import { acknowledge, acknowledgeFailure, failureOf } from './acknowledge.ts'
import { authenticate } from './authenticate.ts'
import { authorize } from './authorize.ts'
import { Call, Calls } from './call.ts'
import type { Client } from './client.ts'
import { dispatch } from './dispatch.ts'
import { CommandError, refuse } from './errors.ts'
import type { Command } from './module.ts'
import { checkParsed, type Message, parse } from './parse.ts'
import { RateLimits } from './rate.ts'

/** How a command ended, for whoever watches (audit, metrics). `code` is `ok` or the error's. */
export interface CommandOutcome {
  readonly client: Client
  readonly name: string
  readonly command: Command | undefined
  readonly code: string
  readonly durationMs: number
}

export interface RoadOptions {
  readonly access: () => Access
  readonly inFlightPerUser: () => number
  readonly find: (namespace: string, name: string) => Command | undefined
  readonly log: Log
  /** Checks handlers' results against the contract. */
  readonly development: boolean
}

/** Stands for whatever is no command, so that nonsense has a rate too. */
const unknownCommand = { name: '?', rate: { max: 60, windowMs: 10_000 } }

/** The road every command takes: parse, authenticate, authorize, rate-limit, validate, dispatch, acknowledge. */
export class Road {
  readonly calls = new Calls()
  readonly #rates = new RateLimits()
  readonly #options: RoadOptions
  /** Set by whoever wants to watch; nothing is measured for nobody. */
  observe: ((outcome: CommandOutcome) => void) | undefined

  constructor(options: RoadOptions) {
    this.#options = options
  }

  /** Takes what a client sent. Never throws. */
  receive(client: Client, name: string, args: readonly unknown[]): void {
    const startedAt = this.observe ? performance.now() : 0
    const message = parse(args)
    const command = this.#options.find(client.caller.namespace, name)
    const call = command && new Call(command, client)
    const done = (result: unknown): void => this.#done(message, call as Call, result, startedAt)
    const failed = (error: unknown): void => this.#failed(client, name, command, message, error, startedAt)
    try {
      const answer = this.#walk(client, name, message, call)
      if (answer instanceof Promise) answer.then(done).catch(failed)
      else done(answer)
    } catch (error) {
      failed(error)
    }
  }

  #walk(client: Client, name: string, message: Message, call: Call | undefined): unknown {
    const { access, inFlightPerUser } = this.#options
    authenticate(client)
    if (!call) {
      this.#rates.take(client.caller.userId, unknownCommand)
      throw refuse('UNKNOWN_COMMAND', `There is no command ${JSON.stringify(name.slice(0, 80))} here.`)
    }
    const { command } = call
    authorize(access(), client, command)
    this.#rates.take(client.caller.userId, command)
    checkParsed(message)
    const problem = command.check(message.payload)
    if (problem) throw refuse('INVALID_PAYLOAD', `${command.name}: ${problem}.`)
    return dispatch(call, message.payload, this.calls, inFlightPerUser())
  }

  #done(message: Message, call: Call, result: unknown, startedAt: number): void {
    const { command, client } = call
    if (this.#options.development && command.checkResult) {
      const problem = command.checkResult(result)
      if (problem) throw new Error(`${command.name} answered what its contract does not say: ${problem}`)
    }
    acknowledge(message.ack, result)
    this.observe?.({ client, name: command.name, command, code: 'ok', durationMs: performance.now() - startedAt })
    for (const work of call.after) {
      // A handler's afterthought may fail as any other of its code; the client has its answer.
      void (async () => work())().catch((error: unknown) => this.#options.log.error({ err: error, event: command.name }, 'failed after its ack'))
    }
  }

  #failed(client: Client, name: string, command: Command | undefined, message: Message, error: unknown, startedAt: number): void {
    const failure = failureOf(error, command?.module?.contract, !(error instanceof CommandError), this.#options.log)
    acknowledgeFailure(client, name.slice(0, 80), command, message.ack, failure)
    this.observe?.({ client, name, command, code: failure.code, durationMs: performance.now() - startedAt })
  }
}
