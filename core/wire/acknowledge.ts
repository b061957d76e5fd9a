import { randomUUID } from 'node:crypto'
import type { Log } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import type { Client } from './client.ts'
import { type CoreCode, coreCodes, coreErrors } from './errors.ts'
import type { Command } from './module.ts'
import type { Ack } from './parse.ts'

/** What goes to a client for a failed command: in the ack, and on the `error` channel. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly id: string
  readonly details?: unknown
  readonly retryAfter?: number
}

/** Codes that a handler may use beside its contract's own. */
const handlerCodes: ReadonlySet<string> = new Set<CoreCode>(['MODULE_UNAVAILABLE', 'INVALID_PAYLOAD', 'FORBIDDEN', 'TIMEOUT', 'RATE_LIMITED'])

/** Step 7, the good end. */
export function acknowledge(ack: Ack | undefined, result: unknown): void {
  ack?.(result === undefined || result === null ? { success: true } : { success: true, ...result })
}

/** Step 7, the other end: the ack, and the same on the `error` channel of the one who asked. */
export function acknowledgeFailure(client: Client, name: string, command: Command | undefined, ack: Ack | undefined, failure: Failure): void {
  const { code, message, id, details, retryAfter } = failure
  const more = retryAfter === undefined ? {} : { retryAfter }
  ack?.({ success: false, code, error: message, id, ...more })
  const module = command?.module?.id ?? 'host'
  client.socket.emit('error', { module, code, message, event: name, id, ...(details === undefined ? {} : { details }), ...more })
}

/**
 * What a client may be told of something thrown: a declared code with its sentence, else INTERNAL.
 * Only errors that carry a code of the contract, or are the core's own, speak for themselves.
 */
export function failureOf(error: unknown, contract: Contract | undefined, fromHandler: boolean, log: Log): Failure {
  const id = randomUUID()
  const { code, message, details, retryAfter } = (typeof error === 'object' && error !== null ? error : {}) as Partial<Failure>
  const declared = typeof code === 'string' && contract?.errors && Object.hasOwn(contract.errors, code) ? contract.errors[code] : undefined
  if (typeof code === 'string' && (declared !== undefined || (fromHandler ? handlerCodes : coreCodes).has(code))) {
    const sentence = typeof message === 'string' && message ? message : (declared ?? coreErrors[code as CoreCode])
    return {
      code,
      message: sentence,
      id,
      ...(details === undefined ? {} : { details }),
      ...(typeof retryAfter === 'number' ? { retryAfter } : {}),
    }
  }
  log.error({ err: error, id }, 'a handler failed')
  return { code: 'INTERNAL', message: coreErrors.INTERNAL, id }
}
