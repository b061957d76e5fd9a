import type { Access } from '../auth/access.ts'
import type { Log } from '../plugin/context.ts'
import { acknowledge, acknowledgeFailure, type Failure, failureOf } from './acknowledge.ts'
import { authenticate } from './authenticate.ts'
import { authorize } from './authorize.ts'
import { Call, Calls } from './call.ts'
import type { Client } from './client.ts'
import { dispatch } from './dispatch.ts'
import { refuse } from './errors.ts'
import type { Command } from './module.ts'
import type { Observers } from './observers.ts'
import { type Ack, checkShape, type Message, parse } from './parse.ts'
import { RateLimits } from './rate.ts'
import { validate } from './validate.ts'

export interface RoadOptions {
  readonly access: () => Access
  readonly inFlightPerUser: () => number
  readonly find: (namespace: string, name: string) => Command | undefined
  readonly log: Log
  readonly observers: Observers
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
    const { observers, find, log } = this.#options
    const begun = observers.hearCommands ? performance.now() : 0
    const message = parse(args)
    const command = find(client.caller.namespace, name)
    const failed = (error: unknown): void => {
      const failure = failureOf(error, command?.module?.contract, log)
      acknowledgeFailure(client, name.slice(0, maxNameLength), command, message.ack, failure)
      if (observers.hearCommands) this.#tell(client, command, begun, failure)
    }
    const done = (call: Call, result: unknown): void => {
      this.#done(call, message.ack, result)
      if (observers.hearCommands) this.#tell(client, command, begun)
    }
    try {
      authenticate(client)
      if (!command) throw this.#unknown(client, name)
      const call = new Call(command, client)
      const answer = this.#walk(call, message)
      if (answer instanceof Promise) answer.then((result) => done(call, result)).catch(failed)
      else done(call, answer)
    } catch (error) {
      failed(error)
    }
  }

  #tell(client: Client, command: Command | undefined, begun: number, failure?: Pick<Failure, 'code' | 'id'>): void {
    this.#options.observers.command({
      caller: client.caller,
      address: client.address,
      module: command?.module?.id ?? 'host',
      command: command?.name,
      role: command?.role,
      code: failure?.code ?? 'OK',
      id: failure?.id,
      // Who began to listen meanwhile is not told of years.
      ms: begun === 0 ? 0 : performance.now() - begun,
    })
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
    const problem = development && !command.module?.isRemote && command.checkResult?.(result)
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
