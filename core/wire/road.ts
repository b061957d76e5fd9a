import type { Access } from '../auth/access.ts'
import type { Log } from '../plugin/context.ts'
import { acknowledge, acknowledgeFailure, failureOf } from './acknowledge.ts'
import { authenticate } from './authenticate.ts'
import { authorize } from './authorize.ts'
import { Call, Calls } from './call.ts'
import type { Client } from './client.ts'
import { dispatch } from './dispatch.ts'
import { refuse } from './errors.ts'
import type { Command } from './module.ts'
import { type Ack, checkShape, type Message, parse } from './parse.ts'
import { RateLimits } from './rate.ts'
import { validate } from './validate.ts'

export interface RoadOptions {
  readonly access: () => Access
  readonly inFlightPerUser: () => number
  readonly find: (namespace: string, name: string) => Command | undefined
  readonly log: Log
  /** Checks handlers' results against the contract. */
  readonly development: boolean
}

/** Stands for whatever is no command, so that nonsense has a rate too. */
const unknownCommand = { rate: { max: 60, windowMs: 10_000 } }
const maxNameLength = 80

/** The road every command takes: parse, authenticate, authorize, rate-limit, validate, dispatch, acknowledge. */
export class Road {
  readonly calls = new Calls()
  readonly #rates = new RateLimits()
  readonly #options: RoadOptions

  constructor(options: RoadOptions) {
    this.#options = options
  }

  /** Takes what a client sent. Never throws. */
  receive(client: Client, name: string, args: readonly unknown[]): void {
    const message = parse(args)
    const command = this.#options.find(client.caller.namespace, name)
    const failed = (error: unknown): void => {
      const failure = failureOf(error, command?.module?.contract, this.#options.log)
      acknowledgeFailure(client, name.slice(0, maxNameLength), command, message.ack, failure)
    }
    try {
      authenticate(client)
      if (!command) throw this.#unknown(client, name)
      const call = new Call(command, client)
      const answer = this.#walk(call, message)
      if (answer instanceof Promise) answer.then((result) => this.#done(call, message.ack, result)).catch(failed)
      else this.#done(call, message.ack, answer)
    } catch (error) {
      failed(error)
    }
  }

  #unknown(client: Client, name: string): Error {
    this.#rates.take(client.caller.userId, unknownCommand)
    return refuse('UNKNOWN_COMMAND', `There is no command ${JSON.stringify(name.slice(0, maxNameLength))} here.`)
  }

  #walk(call: Call, message: Message): unknown {
    const { command, client } = call
    const { access, inFlightPerUser } = this.#options
    authorize(access(), client, command)
    this.#rates.take(client.caller.userId, command)
    checkShape(message)
    validate(command, message.payload)
    return dispatch(call, message.payload, this.calls, inFlightPerUser())
  }

  #done({ command, after }: Call, ack: Ack | undefined, result: unknown): void {
    const { development, log } = this.#options
    const problem = development && command.checkResult?.(result)
    if (problem) throw new Error(`${command.name} answered what its contract does not say: ${problem}`)
    acknowledge(ack, result)
    for (const work of after) {
      // The client has its answer; what comes after may fail as any other code of the plugin.
      void (async () => work())().catch((error: unknown) =>
        log.error({ err: error, event: command.name }, 'failed after its ack'),
      )
    }
  }
}
