import { setTimeout as delay } from 'node:timers/promises'
import type { DBus, Finding } from '../../../core/plugin/capabilities.ts'
import type { Patient, PluginStatus, ThisUser } from '../../../core/plugin/host-control.ts'
import { checkPermissions } from './permissions.ts'

/** What a plugin needs and what is there. */
export interface Diagnosis extends Pick<PluginStatus, 'id' | 'state' | 'reason'> {
  readonly findings: readonly Finding[]
}

/** Who looks: the user of this process and its way to the system bus. */
export interface Examiner {
  readonly user: ThisUser
  readonly bus: DBus
}

/** What is asked of one plugin comes within this many milliseconds, or is told to be missing. */
const deadlineMs = 8000

/** Looks for what everything needs; `host` tells of the host, which comes first. Does not reject. */
export async function diagnose(
  patients: readonly Patient[],
  examiner: Examiner,
  host: () => Promise<readonly Finding[]> = async () => [],
): Promise<Diagnosis[]> {
  const one = async (patient: Patient): Promise<Diagnosis> => {
    const { id, state, reason, needs } = patient
    const findings = await Promise.all([
      attempt('host', async () => (id === 'host' ? host() : [])),
      attempt('needs', () => patient.checkNeeds()),
      attempt('needs', () => checkPermissions(needs, examiner)),
      simulation(patient),
      attempt('driver', () => patient.diagnose()),
      defects(patient, examiner.user),
      containment(patient),
    ])
    return { id, state, ...(reason !== undefined && { reason }), findings: findings.flat() }
  }
  const order = (id: string) => (id === 'host' ? '' : id)
  const all = await Promise.all(patients.map(one))
  return all.sort((a, b) => order(a.id).localeCompare(order(b.id)))
}

/** What a check found, or that it failed: one that breaks hides nothing of the others. */
async function attempt(name: string, check: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  const ended = new AbortController()
  const late = async () => {
    await delay(deadlineMs, undefined, { signal: ended.signal })
    throw new Error(`It took more than ${deadlineMs / 1000} s.`)
  }
  try {
    return await Promise.race([check(), late()])
  } catch (error) {
    const sentence = `This check failed: ${error instanceof Error ? error.message : String(error)}`
    return [{ kind: 'check', name, ok: false, optional: false, sentence }]
  } finally {
    ended.abort()
  }
}

/** A plugin that failed for a reason that is no need of it. What it wrote before tells more. */
function defects({ id, state, reason }: Patient, { unit }: ThisUser): Finding[] {
  if (state !== 'failed' && state !== 'quarantined') return []
  const look = unit && /^[a-z][a-z0-9-]*$/.test(id) && { mend: `journalctl --unit=${unit} --since=-1h --grep=${id}` }
  return [{ kind: 'state', name: id, ok: false, optional: false, sentence: reason ?? 'It failed.', ...look }]
}

/** What of it is not real. */
function simulation({ id, state, simulated, reason }: Patient): Finding[] {
  if (!simulated || state !== 'running' || reason === undefined) return []
  return [{ kind: 'simulated', name: id, ok: true, optional: true, sentence: reason }]
}

/** How well a stranger's plugin that is switched on is held back. */
function containment({ id, state, containment: held }: Patient): Finding[] {
  if (!held || state === 'disabled') return []
  const [ok, level] = [held.level === 'contained', `${held.level[0]?.toUpperCase()}${held.level.slice(1)}`]
  const sentence = `${level}${held.level === 'partly' ? ' contained' : ''}: ${held.sentence}`
  return [{ kind: 'containment', name: id, ok, optional: true, sentence, ...(!ok && { mend: 'sudo scripts/install.sh' }) }]
}
