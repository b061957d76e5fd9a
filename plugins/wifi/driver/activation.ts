import { type Code, failureOf, undecided, WifiError } from './failure.ts'
import type { NetworkManager } from './network-manager.ts'

/** NMDeviceState, and NMDeviceStateReason. */
const [unavailable, disconnected, preparing, failed] = [20, 30, 40, 120]
const [nowUnmanaged, newActivation] = [3, 60]
/** NMActiveConnectionState. */
const activated = 2
/** In which NetworkManager says why, once it is seen that something has ended. */
const patienceMs = 1500

export interface ActivationOptions {
  /** When it must be decided, of `performance.now()`: NetworkManager itself takes up to a minute. */
  readonly decideAt: number
  readonly signal: AbortSignal
  /** The code for an access point that did not answer, which NetworkManager says was not found. */
  readonly unanswered: () => Code
}

/**
 * Begins a connect (`begin` gives the active connection's path) and resolves once it is active. Rejects with what went wrong, with the
 * signal's reason when that is aborted, and when it is not decided in time. What was begun goes on then; rolling back ends it.
 */
export async function activate(
  manager: NetworkManager,
  device: string,
  begin: () => Promise<string>,
  { decideAt, signal, unanswered }: ActivationOptions,
): Promise<void> {
  const releases: Array<() => void> = []
  let state = 0
  let active: string | undefined
  let wasSeen = false
  const outcome = new Promise<void>((resolve, reject) => {
    const after = (ms: number, why: () => WifiError) => {
      const timer = setTimeout(() => reject(why()), ms)
      releases.push(() => clearTimeout(timer))
    }
    const onState = (now: number, reason: number) => {
      if (now === preparing) state = now
      // what ends because another connection begins is the one before, or seen by its absence
      if (state === 0 || reason === newActivation) return
      state = now
      // NetworkManager lets the device go, because it stops or the device does
      if (reason === nowUnmanaged) after(patienceMs, () => gone(manager, device) ?? failureOf(reason))
      else if (now === failed || now === disconnected || (now > 100 && reason > 0)) reject(failureOf(reason, unanswered()))
      // the radio or the device: which, is told by another signal
      else if (now <= unavailable) after(patienceMs, () => gone(manager, device) ?? failureOf(reason))
    }
    const look = () => {
      const why = gone(manager, device)
      // as NetworkManager stops, its devices go before it does
      if (why) after(patienceMs, () => gone(manager, device) ?? why)
      if (active === undefined) return
      const now = manager.activeState(active)
      if (now === activated) resolve()
      if (now === undefined && wasSeen) after(patienceMs, () => new WifiError('WIFI_SUPERSEDED'))
      wasSeen = now !== undefined
    }
    const abort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', abort)
    releases.push(manager.onState(device, onState), manager.onChange(look), () => signal.removeEventListener('abort', abort))
    after(Math.max(0, decideAt - performance.now()), () => undecided(state, unanswered()))
    const begun = begin().then((path) => {
      active = path
      look()
    })
    begun.catch(reject)
    if (signal.aborted) abort()
  })
  try {
    await outcome
  } finally {
    for (const release of releases) release()
  }
}

/** Why the device cannot be used any more. */
export function gone(manager: NetworkManager, device: string): WifiError | undefined {
  if (!manager.manager) return new WifiError('WIFI_SERVICE_LOST')
  if (!manager.deviceAt(device)) return new WifiError('WIFI_DEVICE_REMOVED')
  const { WirelessEnabled, WirelessHardwareEnabled } = manager.manager
  return WirelessEnabled === false || WirelessHardwareEnabled === false ? new WifiError('WIFI_RADIO_OFF') : undefined
}
