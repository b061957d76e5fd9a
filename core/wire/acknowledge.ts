import { randomUUID } from 'node:crypto'
import type { Log } from '../plugin/context.ts'
import type { Contract, HandlerCode } from '../plugin/contract.ts'
import type { Client } from './client.ts'
import { CommandError, type CoreCode, coreErrors } from './errors.ts'
import type { Command, Module } from './module.ts'
import type { Ack } from './parse.ts'

/** What goes to a client for a failed command: in the ack, and on the `error` channel. What is undefined is not in the JSON. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly id: string
  readonly details?: unknown
  readonly retryAfter?: number | undefined
  /** Of the answer to an HTTP request. */
  readonly status?: number | undefined
}

const handlerCodes: ReadonlySet<string> = new Set<HandlerCode>([
  'AUTH_REQUIRED',
  'AUTH_INVALID',
  'MODULE_UNAVAILABLE',
  'INVALID_PAYLOAD',
  'FORBIDDEN',
  'TIMEOUT',
  'RATE_LIMITED',
])

/** Throws if a handler's result cannot be an answer. */
export function checkResultShape(result: unknown): asserts result is object | null | undefined {
  if (result !== undefined && (typeof result !== 'object' || Array.isArray(result)))
    throw new TypeError('an answer is an object or nothing')
}

/** Step 7, the good end. Throws if the result is no object, or none that JSON can hold. */
export function acknowledge(ack: Ack | undefined, result: unknown): void {
  checkResultShape(result)
  // Success first: after a spread it would make an object that is slow to walk and to encode. And no result says otherwise.
  ack?.(Object.assign({ success: true }, result, { success: true }))
}

/** Step 7, the other end: the ack, and the same on the `error` channel of the one who asked. */
export function acknowledgeFailure(
  client: Client,
  event: string,
  command: Command | undefined,
  ack: Ack | undefined,
  failure: Failure,
): void {
  const { code, message, id, details, retryAfter } = failure
  ack?.({ success: false, code, error: message, id, retryAfter })
  client.socket.emit('error', { module: command?.module?.id ?? 'host', code, message, event, id, details, retryAfter })
  if (command?.module) tellRefusal(client, command.module, { code, message, retryAfter })
}

/** The contract's own event for such a refusal, where it has one. */
export function tellRefusal({ socket }: Client, { contract }: Module, { code, message, retryAfter }: Omit<Failure, 'id'>): void {
  const { refusals = {} } = contract
  if (Object.hasOwn(refusals, code)) socket.emit(refusals[code] as string, { message, code, retryAfter })
}

/** What a client may be told of something thrown: a declared code with its sentence, else INTERNAL, and the log knows more. */
export function failureOf(error: unknown, contract: Contract | undefined, log: Log): Failure {
  const id = randomUUID()
  try {
    const told = speak(error, contract)
    if (told) return { ...told, id }
    log.error({ err: error, id }, 'a handler failed')
  } catch (unreadable) {
    log.error({ id, reason: String(unreadable) }, 'a handler failed with an error that cannot be read')
  }
  return { code: 'INTERNAL', message: coreErrors.INTERNAL, id }
}

/** Only the core's own errors, and a handler's with a code that it may use, speak for themselves. */
function speak(error: unknown, contract: Contract | undefined): Omit<Failure, 'id'> | undefined {
  const { code, message, details, retryAfter, status } = Object(error) as Record<string, unknown>
  if (typeof code !== 'string') return undefined
  const declared = contract?.errors && Object.hasOwn(contract.errors, code) ? contract.errors[code] : undefined
  if (declared === undefined && !(error instanceof CommandError || handlerCodes.has(code))) return undefined
  return {
    code,
    message: typeof message === 'string' && message ? message : (declared ?? coreErrors[code as CoreCode]),
    details: details && JSON.parse(JSON.stringify(details)),
    retryAfter: typeof retryAfter === 'number' ? retryAfter : undefined,
    status: typeof status === 'number' && status >= 400 && status < 600 ? status : undefined,
  }
}
