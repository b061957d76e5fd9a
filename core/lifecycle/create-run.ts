import { dirname } from 'node:path'
import type { AllCapabilities, Capabilities } from '../plugin/capabilities.ts'
import type { Contract } from '../plugin/contract.ts'
import { tieCapability } from '../process/attribution.ts'
import { LocalRun } from '../process/local-run.ts'
import { RemoteRun } from '../process/remote-run.ts'
import type { Running } from '../process/running.ts'
import type { Module } from '../wire/module.ts'
import { asksFor } from './grants.ts'
import type { Found } from './read-package.ts'
import type { UnitParts, Wish } from './unit-parts.ts'

/** A run of the package that lies at `found`, in this process or in one of its own. */
export function createRun(
  parts: UnitParts,
  found: Found,
  { runIn, memoryMb, settings: given }: Wish,
  module: Module,
  onFail: (reason: string) => void,
): Running {
  const { hub, loader, pluginLog: log, development, pace, remote } = parts
  const { builtin, dir, id, entry = '', digest } = found
  const store = parts.storeFor(id, builtin)
  if (runIn === 'host') {
    const { dbus, host, ...own } = parts.capabilities(module.contract, store) as Partial<AllCapabilities>
    const shared = { ...(dbus && { dbus: tieCapability(dir, dbus) }), ...(host && { host: tieCapability(dir, host) }) }
    const capabilities = { ...own, ...shared } as Capabilities<Contract>
    const load = () => loader.load(found)
    return new LocalRun({ hub, module, log, given, builtin, owner: dir, development, capabilities, load, onFail })
  }
  const { launch, child, closed, busAddress } = remote
  const { contract, mount } = module
  const keeps = contract.capabilities?.store && store
  const order = { contract, mount, builtin, given, development, busAddress, startMs: pace.startMs, ...(keeps && { store }) }
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
  return new RemoteRun({ hub, module, log, launch, request, order, silenceMs: pace.silenceMs, onFail })
}
