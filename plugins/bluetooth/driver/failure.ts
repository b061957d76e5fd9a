export type FailureCode =
  | 'INVALID_PAYLOAD'
  | 'BT_NO_ADAPTER'
  | 'BT_POWERED_OFF'
  | 'BT_BLOCKED_BY_RFKILL'
  | 'BT_SERVICE_GONE'
  | 'BT_NOT_PERMITTED'
  | 'BT_DEVICE_NOT_FOUND'
  | 'BT_NOT_PAIRED'
  | 'BT_NOT_CONNECTED'
  | 'BT_DEVICE_BLOCKED'
  | 'BT_UNREACHABLE'
  | 'BT_AUTH_FAILED'
  | 'BT_AUTH_REJECTED'
  | 'BT_AUTH_CANCELED'
  | 'BT_AUTH_TIMEOUT'
  | 'BT_KEY_MISSING'
  | 'BT_NO_PROFILE'
  | 'BT_CONNECT_FAILED'
  | 'BT_NOT_SUPPORTED'
  | 'BT_IN_PROGRESS'
  | 'BT_DECLINED'
  | 'BT_NO_ANSWER'
  | 'BT_NO_QUESTION'
  | 'BT_FAILED'

/** Why something did not happen. Without a message the code's own sentence says it all. */
export class Failure extends Error {
  readonly code: FailureCode
  /** A sentence for people, where there is more to say than the code's. */
  readonly detail: string | undefined

  constructor(code: FailureCode, detail?: string, cause?: unknown) {
    super(detail ?? code, { cause })
    this.code = code
    this.detail = detail
  }
}

/** An error as a call on the bus rejects with. */
type BusError = Error & { readonly dbusName?: string }

/** BlueZ's own names (doc/org.bluez.*.rst, src/error.c), without `org.bluez.Error.`. */
const named: Readonly<Record<string, FailureCode>> = {
  AuthenticationFailed: 'BT_AUTH_FAILED',
  AuthenticationRejected: 'BT_AUTH_REJECTED',
  AuthenticationCanceled: 'BT_AUTH_CANCELED',
  AuthenticationTimeout: 'BT_AUTH_TIMEOUT',
  ConnectionAttemptFailed: 'BT_UNREACHABLE',
  NotReady: 'BT_POWERED_OFF',
  Blocked: 'BT_BLOCKED_BY_RFKILL',
  DoesNotExist: 'BT_DEVICE_NOT_FOUND',
  NotConnected: 'BT_NOT_CONNECTED',
  NotAvailable: 'BT_NO_PROFILE',
  'BREDR.ProfileUnavailable': 'BT_NO_PROFILE',
  NotSupported: 'BT_NOT_SUPPORTED',
  NotAuthorized: 'BT_NOT_PERMITTED',
  NotPermitted: 'BT_NOT_PERMITTED',
  InProgress: 'BT_IN_PROGRESS',
}

/** The bus's own, without `org.freedesktop.DBus.Error.`. */
const ofTheBus: Readonly<Record<string, FailureCode>> = {
  ServiceUnknown: 'BT_SERVICE_GONE',
  NameHasNoOwner: 'BT_SERVICE_GONE',
  Disconnected: 'BT_SERVICE_GONE',
  UnknownObject: 'BT_DEVICE_NOT_FOUND',
  UnknownMethod: 'BT_DEVICE_NOT_FOUND', // what BlueZ says of an object that is gone
  AccessDenied: 'BT_NOT_PERMITTED',
  // ours, when BlueZ takes longer than it may
  NoReply: 'BT_UNREACHABLE',
}

/** What `Failed` says in its message: `br-connection-…`, `le-connection-…`, or a sentence. */
const said: ReadonlyArray<readonly [RegExp, FailureCode]> = [
  [/not.powered/i, 'BT_POWERED_OFF'],
  [/rfkill|blocked/i, 'BT_BLOCKED_BY_RFKILL'],
  [/key-missing/, 'BT_KEY_MISSING'],
  [/profile-unavailable|connection-not-supported/, 'BT_NO_PROFILE'],
  [/busy|concurrent/, 'BT_IN_PROGRESS'],
  [/canceled/, 'BT_AUTH_CANCELED'],
  [/timeout$|host is down|abort-by-local|aborted-by-local/i, 'BT_UNREACHABLE'],
  [/^(br|le)-connection-/, 'BT_CONNECT_FAILED'],
]

/** What an error of a call to BlueZ means. What it has no code for is `BT_FAILED`, with BlueZ's words. */
export function explain(error: unknown): Failure {
  if (error instanceof Failure) return error
  const { dbusName = '', message = '' } = error as BusError
  const [, own] = /^org\.bluez\.Error\.(.+)$/.exec(dbusName) ?? []
  const [, bus] = /^org\.freedesktop\.DBus\.Error\.(.+)$/.exec(dbusName) ?? []
  // A reason in the message is more precise than a name that only says that there was one.
  const told = said.find(([pattern]) => pattern.test(message))?.[1]
  if (own === 'Failed' && told) return new Failure(told, undefined, error)
  if (bus === 'NoReply' && /disconnected from message bus/.test(message)) return new Failure('BT_SERVICE_GONE', undefined, error)
  const code = (own && named[own]) || (bus && ofTheBus[bus]) || undefined
  if (code) return new Failure(code, undefined, error)
  return new Failure('BT_FAILED', `BlueZ says: ${message.slice(0, 200) || dbusName || 'nothing'}.`, error)
}

/** Whether BlueZ says that it is so already. */
export function isDone(error: unknown): boolean {
  return /\.(AlreadyExists|AlreadyConnected)$|already-connected/.test(
    `${(error as Error).message} ${(error as BusError).dbusName}`,
  )
}

/** Whether an error of StopDiscovery says that nothing is looked for any more: with the adapter, or BlueZ, that has ended too. */
export function hasStopped(error: unknown): boolean {
  const { code } = explain(error)
  const gone: readonly FailureCode[] = ['BT_POWERED_OFF', 'BT_BLOCKED_BY_RFKILL', 'BT_SERVICE_GONE', 'BT_DEVICE_NOT_FOUND']
  return gone.includes(code) || /no discovery started/i.test((error as Error).message)
}
