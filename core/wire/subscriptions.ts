import type { Access } from '../auth/access.ts'
import { maySubscribe } from './authorize.ts'
import type { Client } from './client.ts'
import { refuse } from './errors.ts'
import type { Hub } from './hub.ts'
import type { Command, Module } from './module.ts'

/** `module:subscribe` and `module:unsubscribe`: the core's only commands, on the same road as all others. */
export function subscriptionCommands(hub: () => Hub, access: () => Access): ReadonlyMap<string, Command> {
  const command = (name: string, handle: (client: Client, module: Module) => unknown): [string, Command] => [
    name,
    {
      name,
      check: checkModule,
      rate: { max: 240, windowMs: 10_000 },
      timeoutMs: 5000,
      inFlight: 16,
      handler: (payload, { caller }) => {
        const { module: id } = payload as { module: string }
        const module = hub().moduleOn(caller.namespace, id)
        if (!module) throw refuse('MODULE_NOT_FOUND', `There is no module ${JSON.stringify(id.slice(0, 40))} here.`)
        return handle(hub().clients.get(caller.clientId) as Client, module)
      },
    },
  ]
  return new Map([
    command('module:subscribe', (client, module) => {
      if (!maySubscribe(access(), client, module)) throw refuse('FORBIDDEN', `You may not subscribe to ${module.id}.`)
      hub().subscribe(client, module)
      return { state: module.state, reason: module.reason }
    }),
    command('module:unsubscribe', (client, module) => hub().unsubscribe(client, module)),
  ])
}

function checkModule(payload: unknown): string | undefined {
  const fits = typeof payload === 'object' && payload !== null && 'module' in payload && typeof payload.module === 'string'
  return fits && Object.keys(payload).length === 1 ? undefined : 'the payload is { module: string }'
}
