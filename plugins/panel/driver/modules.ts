import type { MountedContract } from '../../../core/plugin/host-control.ts'

/** What the app must know of a module to show it, without its state. */
export function describe({ id, version, builtin, namespace, policy, contract }: MountedContract, panel: string | undefined) {
  const isReachable = namespace === '/' && policy === 'patchbay'
  const { description, subscribeRole = 'viewer' as const, commands = {}, events = {}, errors = {} } = contract
  return {
    id,
    ...(description !== undefined && { description }),
    version,
    builtin,
    namespace,
    isReachable,
    subscribeRole,
    ...(panel !== undefined && { panel }),
    commands: Object.entries(isReachable ? commands : {}).map(
      ([name, { description, payload, role = 'owner', timeoutMs = 10_000 }]) => ({
        name,
        ...(description !== undefined && { description }),
        ...(payload && { payload }),
        role,
        timeoutMs,
      }),
    ),
    events: Object.entries(isReachable ? events : {}).map(([name, { description, payload, retained = false }]) => ({
      name,
      ...(description !== undefined && { description }),
      ...(payload && { payload }),
      retained,
    })),
    errors,
  }
}
