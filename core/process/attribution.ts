import { AsyncLocalStorage } from 'node:async_hooks'
import type { Module } from '../wire/module.ts'

type Work<A extends unknown[], R> = (...args: A) => R

const owner = new AsyncLocalStorage<string | undefined>()

/** Whose timer, promise or callback it is that runs now. In the handler of an exception that nobody caught: whose it came out of. */
export const currentOwner = (): string | undefined => owner.getStore()

/** Whatever it sets going is `who`'s from then on. */
export const runAs = <A extends unknown[], R>(who: string | undefined, work: Work<A, R>, ...args: A): R =>
  owner.run(who, work, ...args)

const tied =
  <A extends unknown[], R>(who: string, work: Work<A, R>): Work<A, R> =>
  (...args) =>
    runAs(who, work, ...args)

/** Makes what a plugin has put on its module its own when it is called by the wire. */
export function tieModule(who: string, module: Module): void {
  for (const { commands } of module.groups.values())
    for (const command of commands.values()) command.handler = command.handler && tied(who, command.handler)
  for (const route of module.routes.values()) route.handler = route.handler && tied(who, route.handler)
  for (const [event, value] of module.providers) module.providers.set(event, tied(who, value))
  const { audience } = module
  if (audience) module.audience = tiedMembers(who, audience)
}

/**
 * A capability that several plugins share: what it does is nobody's, such as the one connection that is opened for the first of
 * them; what it calls back is the plugin's.
 */
export function tieCapability<T extends object>(who: string, capability: T): T {
  const members = Object.entries(capability).map(([name, member]: [string, unknown]) => {
    if (typeof member !== 'function') return [name, member]
    return [
      name,
      (...args: unknown[]) =>
        runAs(
          undefined,
          () =>
            member.apply(
              capability,
              args.map((arg) => tiedMembers(who, arg)),
            ) as unknown,
        ),
    ]
  })
  return Object.fromEntries(members) as T
}

/** Functions, also those in plain objects. */
function tiedMembers<T>(who: string, value: T, self?: unknown): T {
  if (typeof value === 'function') return tied(who, (...args: unknown[]) => value.apply(self, args) as unknown) as T
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, tiedMembers(who, member, value)])) as T
}
