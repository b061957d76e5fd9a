/** What can go wrong; the contract has a sentence for each. */
export type Code =
  | 'WIFI_AUTH_FAILED'
  | 'WIFI_BUSY'
  | 'WIFI_DEVICE_REMOVED'
  | 'WIFI_DISCONNECTED'
  | 'WIFI_FAILED'
  | 'WIFI_NO_DEVICE'
  | 'WIFI_NO_DHCP'
  | 'WIFI_NOT_FOUND'
  | 'WIFI_NOT_SAVED'
  | 'WIFI_PASSWORD_INVALID'
  | 'WIFI_PASSWORD_REQUIRED'
  | 'WIFI_PERMISSION'
  | 'WIFI_RADIO_OFF'
  | 'WIFI_ROLLED_BACK'
  | 'WIFI_SCAN_FAILED'
  | 'WIFI_SERVICE_LOST'
  | 'WIFI_SSID_INVALID'
  | 'WIFI_SUPERSEDED'
  | 'WIFI_SUPPLICANT'
  | 'WIFI_TWIN'
  | 'WIFI_UNSUPPORTED'

/** A failure with its code; without a message of its own the contract's sentence is meant. */
export class WifiError extends Error {
  readonly code: Code
  readonly details: object | undefined

  constructor(code: Code, message = '', details?: object) {
    super(message)
    this.code = code
    this.details = details
  }
}

/** NMDeviceStateReason: no access point, or none that let us in. */
const notFound = 53

/** Why NetworkManager says that a device failed (NMDeviceStateReason), and the code for it. */
const reasons: Readonly<Record<number, Code>> = {
  5: 'WIFI_NO_DHCP',
  6: 'WIFI_NO_DHCP',
  7: 'WIFI_AUTH_FAILED',
  8: 'WIFI_SUPPLICANT',
  9: 'WIFI_SUPPLICANT',
  10: 'WIFI_SUPPLICANT',
  11: 'WIFI_SUPPLICANT',
  15: 'WIFI_NO_DHCP',
  16: 'WIFI_NO_DHCP',
  17: 'WIFI_NO_DHCP',
  36: 'WIFI_DEVICE_REMOVED',
  39: 'WIFI_DISCONNECTED',
  60: 'WIFI_SUPERSEDED',
}

export function failureOf(reason: number, unanswered: Code = 'WIFI_NOT_FOUND'): WifiError {
  const code = reason === notFound ? unanswered : reasons[reason]
  return code ? new WifiError(code) : new WifiError('WIFI_FAILED', `NetworkManager gave up (reason ${reason}).`, { reason })
}

/** What NetworkManager would say in the end of a connect that has come as far as this state (NMDeviceState) and no farther. */
export function undecided(state: number, unanswered: Code): WifiError {
  if (state >= 70) return new WifiError('WIFI_NO_DHCP')
  if (state === 60) return new WifiError('WIFI_AUTH_FAILED')
  return new WifiError(unanswered)
}

/** An error of the bus, seen from what was tried, which needs this polkit action. */
export function refusal(error: unknown, action: string): WifiError {
  const { dbusName = '', message } = error as Error & { dbusName?: string }
  if (/\.(PermissionDenied|AccessDenied|AuthFailed|NotAuthorized)$/.test(dbusName)) {
    const polkit = `org.freedesktop.NetworkManager.${action}`
    return new WifiError('WIFI_PERMISSION', `Patchbay's user may not do this: polkit must allow it the action ${polkit}.`, {
      action: polkit,
    })
  }
  if (dbusName.endsWith('.NoReply')) return new WifiError('WIFI_SERVICE_LOST', 'NetworkManager does not answer.')
  if (/\.(ServiceUnknown|NameHasNoOwner|Disconnected)$/.test(dbusName)) return new WifiError('WIFI_SERVICE_LOST')
  if (/\.(UnknownObject|UnknownMethod|UnknownDevice)$/.test(dbusName)) return new WifiError('WIFI_DEVICE_REMOVED')
  if (dbusName.endsWith('.SpecificObjectNotFound')) return new WifiError('WIFI_NOT_FOUND')
  return new WifiError('WIFI_FAILED', `NetworkManager refused: ${message}`)
}
