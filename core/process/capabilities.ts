import type { Capabilities } from '../plugin/capabilities.ts'
import type { Contract } from '../plugin/contract.ts'
import type { HostControl } from '../plugin/host-control.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import type { SystemBus } from './dbus.ts'
import { createDBus } from './dbus-capability.ts'
import { createExec } from './exec.ts'
import { createStore, type StorePlace } from './store.ts'

/** What a contract names, and nothing else. `host` is for plugins that come with Patchbay; discovery refuses it to others. */
export function createCapabilities(
  { capabilities = {}, needs = {} }: Contract,
  parts: { bus: SystemBus; host?: HostControl; store?: StorePlace; clients: ClientOps },
): Capabilities<Contract> {
  return {
    ...(capabilities.dbus && { dbus: createDBus(parts.bus, capabilities.dbus) }),
    ...(capabilities.exec && { exec: createExec(capabilities.exec, needs) }),
    ...(capabilities.host && { host: parts.host }),
    ...(capabilities.store && parts.store && { store: createStore(parts.store) }),
    // A run adds what listens.
    ...(capabilities.clients && { clients: parts.clients }),
  } as unknown as Capabilities<Contract>
}
