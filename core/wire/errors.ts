/** The core's error codes, each with the sentence a client gets when nothing better is known. */
export const coreErrors = {
  AUTH_REQUIRED: 'Log in: the connection carries neither initData nor a sessionToken.',
  AUTH_INVALID: 'These credentials are not valid.',
  ACCESS_DENIED: 'You may not enter this machine.',
  SESSION_EXPIRED: 'This session has ended. Log in again.',
  UNKNOWN_COMMAND: 'There is no such command.',
  MODULE_NOT_FOUND: 'There is no such module.',
  MODULE_DISABLED: 'This module is switched off.',
  MODULE_UNAVAILABLE: 'This module cannot work on this machine at the moment.',
  MODULE_FAILED: 'This module has failed.',
  INVALID_PAYLOAD: 'The payload does not fit the command.',
  RATE_LIMITED: 'Too many commands. Wait a little.',
  FORBIDDEN: 'You may not do this.',
  TIMEOUT: 'No answer in time. What was asked may still happen.',
  INTERNAL: 'Something went wrong inside this module.',
} as const

export type CoreCode = keyof typeof coreErrors
export const coreCodes: ReadonlySet<string> = new Set(Object.keys(coreErrors))

/** A command's refusal with one of the core's own codes, on its way to the client. `retryAfter` in seconds. */
export class CommandError extends Error {
  readonly code: CoreCode
  readonly retryAfter: number | undefined
  constructor(code: CoreCode, message: string, retryAfter?: number) {
    super(message)
    this.code = code
    this.retryAfter = retryAfter
  }
}

export function refuse(code: CoreCode, message: string = coreErrors[code], retryAfter?: number): CommandError {
  return new CommandError(code, message, retryAfter)
}
