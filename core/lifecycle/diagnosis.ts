import type { Diagnosis } from '../plugin/host-control.ts'
import type { SystemBus } from '../process/dbus.ts'
import { checkNeeds } from './needs.ts'
import type { Supervisor } from './supervisor.ts'

/** What every plugin needs and what is there; those that run are asked what their drivers find. */
export function diagnose(supervisor: Supervisor, bus: SystemBus): Promise<Diagnosis[]> {
  const units = supervisor.units().map(async (unit) => {
    const needs = await checkNeeds(unit.found.contract?.needs ?? {}, { bus })
    const findings = [...needs, ...(await unit.diagnose())]
    const { id, state, reason } = unit.status
    return { id, state, ...(reason !== undefined && { reason }), findings }
  })
  return Promise.all(units)
}
