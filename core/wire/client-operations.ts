import type { Clients } from '../plugin/capabilities.ts'
import type { CoreCode } from './errors.ts'

/** What the capability `clients` asks of the host. All may be called with anything: a plugin's process says it. */
export interface ClientOps extends Omit<Clients, 'onConnect' | 'onPeer'> {
  /** Says why, then closes it. */
  dismiss(clientId: string, code: CoreCode, message: string): Promise<void>
}

export const clientOperations: ReadonlyArray<keyof ClientOps> = [
  ...(['list', 'get', 'join', 'leave', 'identify', 'anonymize', 'disconnect'] as const),
  ...(['ask', 'issue', 'verify', 'revoke', 'dismiss', 'tellPeers'] as const),
]
