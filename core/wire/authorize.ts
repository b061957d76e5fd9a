import type { Access } from '../auth/access.ts'
import type { Client } from './client.ts'
import { refuse } from './errors.ts'
import type { Command, Module, Route } from './module.ts'
import type { Requester } from './policy.ts'

/** Step 3: user x module x command. Roles are those of now, not those at login. */
export function authorize(access: Access, client: Client, command: Command): void {
  const { module, name, role } = command
  if (!module) return
  if (module.isGated) {
    if (!mayUse(command, client.roles, client.isAnonymous))
      throw client.isAnonymous ? refuse('AUTH_REQUIRED', `${name} is for those who have authenticated.`) : forbidden(name)
  } else if (role && !access.can(client.roles, module.id, name, role)) throw forbidden(name)
}

/** Whether somebody may ask for a route. */
export function mayAsk(access: Access, { roles }: Requester, module: Module, { name, definition }: Route): boolean {
  if (module.isGated) return mayUse(definition, roles, false)
  return access.can(roles, module.id, name, definition.role ?? 'owner')
}

/** By the roles that a token names: one of the contract's will do, and none is more than another. */
function mayUse(
  { roles: wanted = [], anonymous }: Command | Route['definition'],
  roles: readonly string[],
  isAnonymous: boolean,
) {
  return anonymous === true || (!isAnonymous && wanted.some((role) => role === '*' || roles.includes(role)))
}

const forbidden = (name: string) => refuse('FORBIDDEN', `You may not use ${name}.`)

/** The right to hear a module's events. */
export function maySubscribe(access: Access, client: Client, module: Module): boolean {
  if (module.isGated) return !client.isAnonymous
  return access.can(client.roles, module.id, 'subscribe', module.contract.subscribeRole ?? 'viewer')
}
