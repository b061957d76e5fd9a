import type { Access } from '../auth/access.ts'
import type { Client } from './client.ts'
import { refuse } from './errors.ts'
import type { Command, Module } from './module.ts'

/** Step 3: user x module x command. Roles are those of now, not those at login. */
export function authorize(access: Access, client: Client, command: Command): void {
  const { module, name, role } = command
  if (!module || !role) return
  if (!access.can(client.roles, module.id, name, role)) throw refuse('FORBIDDEN', `You may not use ${name}.`)
}

/** The right to hear a module's events. */
export function maySubscribe(access: Access, client: Client, module: Module): boolean {
  return access.can(client.roles, module.id, 'subscribe', module.contract.subscribeRole ?? 'viewer')
}
