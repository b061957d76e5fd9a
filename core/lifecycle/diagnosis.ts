import type { Finding } from '../plugin/capabilities.ts'
import type { Diagnosis, PluginStatus } from '../plugin/host-control.ts'
import { within } from '../process/deadline.ts'
import { checkNeeds, type Surroundings } from './needs.ts'
import { checkPermissions, type PermissionBus } from './needs-permissions.ts'
import { thisUser } from './needs-user.ts'
import type { Found } from './read-package.ts'

/** What is asked of one plugin comes within this many milliseconds, or is told to be missing. */
const deadlineMs = 8000

/** A plugin as it stands; a unit of the supervisor is one. */
export interface Patient {
  readonly found: Pick<Found, 'contract'>
  readonly status: Pick<PluginStatus, 'id' | 'state' | 'reason'>
  /** What the drivers find, if it runs. */
  diagnose(): Promise<readonly Finding[]>
}

/** Looks for what everything needs, with the checks of the start itself; `host` tells of the host, which comes first. Does not reject. */
export async function diagnose(
  supervisor: { units(): readonly Patient[] },
  bus: PermissionBus & Surroundings['bus'],
  host: () => Promise<readonly Finding[]> = () => Promise.resolve([]),
): Promise<Diagnosis[]> {
  const one = async ({ found, status }: Patient, driver: Patient['diagnose']): Promise<Diagnosis> => {
    const { id, state, reason } = status
    const needs = found.contract?.needs ?? {}
    // A disabled plugin may be a stranger's that nobody has agreed to: no program is started because it says so.
    const surroundings = { bus, mayStart: state !== 'disabled' }
    const findings = await Promise.all([
      attempt('host', () => (id === 'host' ? host() : Promise.resolve([]))),
      attempt('needs', () => checkNeeds(needs, surroundings)),
      attempt('needs', () => checkPermissions(needs, bus)),
      attempt('driver', driver),
      defects(status),
    ])
    return { id, state, ...(reason !== undefined && { reason }), findings: findings.flat() }
  }
  const order = (id: string) => (id === 'host' ? '' : id)
  const all = await Promise.all(supervisor.units().map((unit) => one(unit, () => unit.diagnose())))
  return all.sort((a, b) => order(a.id).localeCompare(order(b.id)))
}

/** What a check found, or that it failed: one that breaks hides nothing of the others. */
async function attempt(name: string, check: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await within(check(), deadlineMs, `It took more than ${deadlineMs / 1000} s.`)
  } catch (error) {
    const sentence = `This check failed: ${error instanceof Error ? error.message : String(error)}`
    return [{ kind: 'check', name, ok: false, optional: false, sentence }]
  }
}

/** A plugin that failed for a reason that is no need of it. What it wrote before tells more. */
async function defects({ id, state, reason }: Patient['status']): Promise<Finding[]> {
  if (state !== 'failed' && state !== 'quarantined') return []
  const { unit } = await thisUser()
  const look = unit && /^[a-z][a-z0-9-]*$/.test(id) && { mend: `journalctl --unit=${unit} --since=-1h --grep=${id}` }
  return [{ kind: 'state', name: id, ok: false, optional: false, sentence: reason ?? 'It failed.', ...look }]
}
