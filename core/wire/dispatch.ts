import { type Call, type Calls, View } from './call.ts'
import { type CoreCode, refuse } from './errors.ts'
import type { Handler, State } from './module.ts'

const refusals: Partial<Record<State, CoreCode>> = {
  disabled: 'MODULE_DISABLED',
  unavailable: 'MODULE_UNAVAILABLE',
  starting: 'MODULE_UNAVAILABLE',
  stopping: 'MODULE_UNAVAILABLE',
  failed: 'MODULE_FAILED',
  quarantined: 'MODULE_FAILED',
}

/** Step 6: hands the command to its handler. The answer is a value if the handler was quick, else a promise with a deadline. */
export function dispatch(call: Call, payload: unknown, calls: Calls, inFlightPerUser: number): unknown {
  const { command, client } = call
  const { module } = command
  const code = module && refusals[module.state]
  if (code) throw refuse(code, module.reason && `${module.id} is ${module.state}: ${module.reason}`)
  calls.checkRoom(client.caller, command, inFlightPerUser)
  // A running module has a handler for every command.
  const answer = (command.handler as Handler)(payload, new View(call))
  const isPromise = typeof (answer as { then?: unknown } | undefined | null)?.then === 'function'
  return isPromise ? calls.track(call, Promise.resolve(answer)) : answer
}
