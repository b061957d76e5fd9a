import type { CommandDefinition, ContractGroup, EventDefinition } from '../../../core/plugin/contract.ts'
import type { CoreContract, MountedContract } from '../../../core/plugin/host-control.ts'

/** Only these policies have `module:subscribe` and what the core says beside it. */
const policyWithSubscriptions = 'patchbay'

interface Entry<D> {
  readonly name: string
  /** Undefined for the core's own. */
  readonly mounted: MountedContract | undefined
  readonly definition: D
}
export type CommandEntry = Entry<CommandDefinition>
export type EventEntry = Entry<EventDefinition>

/** Everything that may be said on one Socket.IO namespace, sorted by name. */
export interface NamespaceContract {
  readonly namespace: string
  readonly policy: string
  readonly modules: readonly MountedContract[]
  readonly commands: readonly CommandEntry[]
  readonly events: readonly EventEntry[]
}

/** What is mounted, by namespace, `/` first. */
export function byNamespace(contracts: readonly MountedContract[], core: CoreContract): NamespaceContract[] {
  const namespaces = new Map<
    string,
    { policy: string; modules: MountedContract[]; commands: CommandEntry[]; events: EventEntry[] }
  >()
  const sorted = [...contracts].sort((a, b) => compare(a.id, b.id))
  for (const mounted of sorted) {
    for (const { namespace, group } of groupsOf(mounted)) {
      const { policy } = mounted
      const found = namespaces.get(namespace) ?? { policy, modules: [], commands: [], events: [] }
      namespaces.set(namespace, found)
      found.modules.push(mounted)
      found.commands.push(...entries(group.commands, mounted))
      found.events.push(...entries(group.events, mounted))
    }
  }
  const byName = (a: { name: string }, b: { name: string }) => compare(a.name, b.name)
  return [...namespaces]
    .sort(([a], [b]) => compare(a, b))
    .map(([namespace, { policy, modules, commands, events }]) => {
      const own = policy === policyWithSubscriptions ? core : { commands: {}, events: {} }
      return {
        namespace,
        policy,
        modules,
        commands: [...entries(own.commands, undefined), ...commands].sort(byName),
        events: [...entries(own.events, undefined), ...events].sort(byName),
      }
    })
}

/** A contract's groups, by the namespace they are mounted on. */
function groupsOf({ namespace, contract }: MountedContract): Array<{ namespace: string; group: ContractGroup }> {
  const below = Object.entries(contract.namespaces ?? {}).map(([name, group]) => ({
    namespace: `${namespace === '/' ? '' : namespace}/${name}`,
    group,
  }))
  return [{ namespace, group: contract }, ...below.sort((a, b) => compare(a.namespace, b.namespace))]
}

function entries<D>(definitions: Readonly<Record<string, D>> | undefined, mounted: MountedContract | undefined): Array<Entry<D>> {
  return Object.entries(definitions ?? {}).map(([name, definition]) => ({ name, mounted, definition }))
}

/** By code unit: the same order on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** What a command has that says nothing else: the host's own defaults. */
const limits = { rate: { max: 60, windowMs: 10_000 }, timeoutMs: 10_000, inFlight: 16 }

/** A command's limits and who may give it. The core's own are open to everybody who was let in. */
export function policyOf({
  mounted,
  definition,
}: CommandEntry): typeof limits & { readonly role?: string; readonly roles?: readonly string[] } {
  const { rate = limits.rate, timeoutMs = limits.timeoutMs, inFlight = limits.inFlight, role = 'owner' } = definition
  // Behind tokens a command names roles of its own, or none.
  const { roles } = definition
  const asks = mounted?.policy === 'patchbay' ? { role } : roles && { roles }
  return { ...asks, rate, timeoutMs, inFlight }
}

/** An object's entries, sorted by key. */
export function sorted<V>(object: Readonly<Record<string, V>> | undefined): Array<[string, V]> {
  return Object.entries(object ?? {}).sort(([a], [b]) => compare(a, b))
}
