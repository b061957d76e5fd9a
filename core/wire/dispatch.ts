import type { Call, Calls } from './call.ts'
import { type CoreCode, refuse } from './errors.ts'
import type { Module, State } from './module.ts'

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
  const { command } = call
  if (command.module) checkRunning(command.module)
  if (!command.handler) throw refuse('INTERNAL', `${command.name} has no handler.`)
  const { ofCommand, inAll } = calls.count(call.caller.userId, command)
  if (ofCommand >= command.inFlight || inAll >= inFlightPerUser)
    throw refuse('RATE_LIMITED', 'Too many unanswered commands.', { retryAfter: 1 })
  const answer = command.handler(payload, call)
  return answer instanceof Promise ? calls.track(call, call.within(answer, command.timeoutMs)) : answer
}

function checkRunning({ id, state, reason }: Module): void {
  const code = refusals[state]
  if (code) throw refuse(code, reason && `${id} is ${state}: ${reason}`)
}
