import type { EventPayload } from '../../../../core/plugin/contract.ts'
import type { host } from '../../../host/contract.ts'
import type { panel } from '../../contract.ts'

/** A module as `panel:modules` describes it. */
export type ModuleContract = EventPayload<typeof panel, 'panel:modules'>[number]
export type CommandContract = ModuleContract['commands'][number]
export type EventContract = ModuleContract['events'][number]
/** A row of `host:plugins`. */
export type PluginStatus = EventPayload<typeof host, 'host:plugins'>[number]

/** How every command is answered. */
export type Answer = { readonly success: true; readonly [field: string]: unknown } | Failure
export interface Failure {
  readonly success: false
  /** One of the module's codes, of the core's, or the app's own: `OFFLINE` (not sent), `LOST` (sent, and the answer never came). */
  readonly code: string
  /** A sentence. */
  readonly error: string
  readonly id?: string
  /** Seconds. */
  readonly retryAfter?: number
}
