import { url } from 'node:inspector'
import { StartError } from './start-error.ts'

/**
 * SIGUSR1 does nothing from now on. Node would open its inspector on the loopback, and whoever may signal this process, such as
 * what a plugin starts, could run code in it.
 */
export function ignoreInspectorSignal(): void {
  process.on('SIGUSR1', () => undefined)
}

/** Throws a StartError if the signal came before that. Whoever asks for the inspector, or loads code first that may open it, has it. */
export function refuseInspector(options = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(' ')]): void {
  if (url() === undefined || options.some((option) => /^"?--?(inspect|import|require|r\b)/.test(option))) return
  throw new StartError('A signal opened the inspector of this process while it started. It ends, and may be started again.', 70)
}
