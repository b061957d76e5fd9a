import type { Access } from '../auth/access.ts'
import { maySubscribe } from './authorize.ts'
import type { Call } from './call.ts'
import { refuse } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Command, Handler } from './module.ts'

/** `module:subscribe` and `module:unsubscribe`: the core's only commands, on the same road as all others. */
export function subscriptionCommands(hub: () => Hub, access: () => Access): ReadonlyMap<string, Command> {
  const command = (name: string, handler: Handler): [string, Command] => [
    name,
    { name, handler, check: checkModule, rate: { max: 240, windowMs: 10_000 }, timeoutMs: 5000, inFlight: 16 },
  ]
  const named = (payload: unknown, { client }: Call) => {
    const id = (payload as { module: string }).module
    const module = hub().moduleOn(client.caller.namespace, id)
    if (!module) throw refuse('MODULE_NOT_FOUND', `There is no module ${JSON.stringify(id.slice(0, 40))} here.`)
    return module
  }
  return new Map([
    command('module:subscribe', (payload, call) => {
      const { client } = call as Call
      const module = named(payload, call as Call)
      if (!maySubscribe(access(), client, module)) throw refuse('FORBIDDEN', `You may not subscribe to ${module.id}.`)
      hub().subscribe(client, module)
      return { state: module.state, ...(module.reason && { reason: module.reason }) }
    }),
    command('module:unsubscribe', (payload, call) => hub().unsubscribe((call as Call).client, named(payload, call as Call))),
  ])
}

function checkModule(payload: unknown): string | undefined {
  const fits = typeof payload === 'object' && payload !== null && 'module' in payload && typeof payload.module === 'string'
  return fits && Object.keys(payload).length === 1 ? undefined : 'the payload is { module: string }'
}
