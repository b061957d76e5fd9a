import { dirname } from 'node:path'
import type { AllCapabilities, Capabilities } from '../plugin/capabilities.ts'
import type { Contract } from '../plugin/contract.ts'
import { tieCapability } from '../process/attribution.ts'
import { LocalRun } from '../process/local-run.ts'
import { RemoteRun } from '../process/remote-run.ts'
import type { Running } from '../process/running.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import type { Module } from '../wire/module.ts'
import { asksFor } from './grants.ts'
import type { Found } from './read-package.ts'
import type { UnitParts, Wish } from './unit-parts.ts'

/** A run of the package that lies at `found`, in this process or in one of its own. */
export function createRun(
  parts: UnitParts,
  found: Found,
  { runIn, memoryMb, settings }: Wish,
  module: Module,
  onFail: (reason: string) => void,
): Running {
  const { hub, loader, pluginLog: log, development, pace, remote } = parts
  const { builtin, dir, id, entry = '', digest } = found
  const store = parts.storeFor(id, builtin)
  const given = parts.capabilities(module, store)
  if (runIn === 'host') {
    const { dbus, host, clients, ...own } = given as Partial<AllCapabilities>
    const tie = <T extends object>(name: string, capability: T | undefined) =>
      capability && { [name]: tieCapability(dir, capability) }
    const shared = { ...tie('dbus', dbus), ...tie('host', host), ...tie('clients', clients) }
    const capabilities = { ...own, ...shared } as Capabilities<Contract>
    const load = () => loader.load(found)
    return new LocalRun({ hub, module, log, given: settings, builtin, owner: dir, development, capabilities, load, onFail })
  }
  const { launch, child, closed, busAddress } = remote
  const { contract, mount } = module
  const keeps = contract.capabilities?.store && store
  const order = {
    contract,
    mount,
    builtin,
    given: settings,
    development,
    busAddress,
    startMs: pace.startMs,
    ...(keeps && { store }),
  }
  const grants = builtin ? undefined : asksFor(contract)
  const request = {
    id,
    dir,
    entry,
    digest,
    grants,
    closed,
    child,
    memoryMb,
    ...(keeps && 'file' in keeps && { storeDir: dirname(keeps.file) }),
  }
  const { clients } = given as unknown as { clients?: ClientOps }
  return new RemoteRun({ clients, hub, module, log, launch, request, order, silenceMs: pace.silenceMs, onFail })
}
