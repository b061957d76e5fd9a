import { signal } from '@preact/signals'

const ranks = ['viewer', 'operator', 'owner']

/** The roles of whoever is logged in; undefined until the machine has told. */
export const roles = signal<readonly string[] | undefined>(undefined)

/**
 * Whether it is worth offering a command that asks for this role. Who has a role of the owner's own making has rights that are known
 * to the machine alone: everything is offered, and the machine refuses.
 */
export function mayGive(role: string): boolean {
  const mine = roles.value ?? []
  return mine.some((one) => !ranks.includes(one) || ranks.indexOf(one) >= ranks.indexOf(role))
}
