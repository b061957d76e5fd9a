import type { AccessConfig } from '../config/types.ts'
import type { ContractRole } from '../plugin/contract.ts'

/** The built-in roles; each may do what the ones before it may. */
const builtIn: readonly string[] = ['viewer', 'operator', 'owner']
const nobody: readonly string[] = Object.freeze([])
const localOwner: readonly string[] = Object.freeze(['owner'])
const maxRemembered = 2000

type Grant = { readonly isDenial: boolean; readonly matches: (subject: string) => boolean }

/** Who may do what, as one reading of `access.json` says. A change of the file makes a new one. Whatever is not granted is denied. */
export class Access {
  readonly #users: ReadonlyMap<string, readonly string[]>
  readonly #grants: ReadonlyMap<string, readonly Grant[]>
  /** Decisions, by the identity of a user's list of roles. */
  readonly #remembered = new WeakMap<readonly string[], Map<string, { contractRole: ContractRole; isGranted: boolean }>>()

  constructor({ users, roles }: AccessConfig) {
    this.#users = new Map(Object.entries(users).map(([id, names]) => [id, Object.freeze([names].flat())]))
    this.#grants = new Map(Object.entries(roles).map(([name, patterns]) => [name, patterns.map(compile)]))
  }

  /** The same frozen list at every call, by which `can` remembers its decisions; empty for somebody who may not enter. */
  rolesOf(userId: string): readonly string[] {
    if (userId === 'local:owner') return localOwner
    return (userId.startsWith('telegram:') && this.#users.get(userId.slice('telegram:'.length))) || nobody
  }

  /** Whether `access.json` names an owner; `local:owner` does not count. */
  hasOwner(): boolean {
    return [...this.#users.values()].some((roles) => roles.includes('owner'))
  }

  /**
   * Whether these roles together may use `<module>:<name>`, which the contract marks for `contractRole`. The built-in roles
   * go by that mark, others by their grants alone; one `!` that matches, in any of the roles, outdoes them all.
   */
  can(roles: readonly string[], module: string, name: string, contractRole: ContractRole): boolean {
    const subject = name.startsWith(module) && name[module.length] === ':' ? name : `${module}:${name}`
    let decisions = this.#remembered.get(roles)
    if (!decisions || decisions.size >= maxRemembered) {
      decisions = new Map()
      this.#remembered.set(roles, decisions)
    }
    const known = decisions.get(subject)
    // A plugin that was changed may ask for another role.
    if (known?.contractRole === contractRole) return known.isGranted
    const isGranted = this.#decide(roles, subject, contractRole)
    decisions.set(subject, { contractRole, isGranted })
    return isGranted
  }

  #decide(roles: readonly string[], subject: string, contractRole: ContractRole): boolean {
    const matching = roles.flatMap((role) => this.#grants.get(role) ?? []).filter((grant) => grant.matches(subject))
    if (matching.some((grant) => grant.isDenial)) return false
    const rank = builtIn.indexOf(contractRole)
    return matching.length > 0 || (rank >= 0 && roles.some((role) => builtIn.indexOf(role) >= rank))
  }
}

/** `*` stands for any run of characters. The parts between are looked for from left to right, so nothing is ever tried twice. */
function compile(pattern: string): Grant {
  const isDenial = pattern.startsWith('!')
  const [first = '', ...middle] = pattern.slice(isDenial ? 1 : 0).split('*')
  const last = middle.pop()
  const matches = (subject: string) => {
    if (last === undefined) return subject === first
    const end = subject.length - last.length
    if (!subject.startsWith(first) || !subject.endsWith(last)) return false
    let at = first.length
    for (const part of middle) {
      const found = subject.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= end
  }
  return { isDenial, matches }
}
