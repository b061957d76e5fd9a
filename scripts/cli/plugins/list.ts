import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { resolvePaths } from '../../../core/config/paths.ts'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { askIfRunning } from '../ask.ts'
import type { Installation } from '../main.ts'
import { table } from '../table.ts'
import { readDisk } from '../without-daemon.ts'
import { readRecord } from './record.ts'

type Row = Pick<PluginStatus, 'id' | 'version' | 'builtin' | 'reason' | 'description' | 'restartPending' | 'containment'> & {
  readonly state: string
}

/** Lists every plugin with its state, which without a daemon is `disabled`, `failed` or `not running`. */
export async function list(args: string[], installation: Installation): Promise<void> {
  const { values } = parseArgs({ args, options: { json: { type: 'boolean' } } })
  const answer = await askIfRunning({ command: 'plugins' }, installation)
  const rows = answer ? (answer.plugins as Row[]) : await fromDisk(installation)
  if (values.json) {
    const all = await Promise.all(rows.map(async (row) => ({ ...row, ...(await origin(row.id, installation)) })))
    return void process.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`)
  }
  const lines = rows.map(({ id, state, version, builtin, reason, description = '', restartPending, containment }) => {
    const pending = restartPending ? ' Its code changed; a restart of Patchbay loads it.' : ''
    const held = containment && state !== 'disabled' ? ` (${containment.level})` : ''
    return [id, state, builtin ? 'Patchbay' : version, `${reason ?? description}${pending}${held}`.trim()]
  })
  process.stdout.write(table([['PLUGIN', 'STATE', 'VERSION', 'WHAT IT IS, OR WHY IT DOES NOT RUN'], ...lines]))
  if (!answer) process.stdout.write(`\nNo daemon runs. Start it: ${installation.commandName} start\n`)
}

/** Where an installed plugin came from, without what it depends on. */
async function origin(id: string, { root }: Installation): Promise<object> {
  const record = await readRecord(join(resolvePaths(process.env, root).dataDir, 'plugins', id))
  if (!record) return {}
  const { dependencies, ...installed } = record
  return { installed }
}

async function fromDisk(installation: Installation): Promise<Row[]> {
  const { found, isEnabled } = await readDisk(installation)
  const rows = found.map((each) => {
    const { id, version, builtin, description, problem } = each
    const state = problem ? 'failed' : isEnabled(each) ? 'not running' : 'disabled'
    return { id, state, version, builtin, ...(description && { description }), ...(problem && { reason: problem }) }
  })
  return rows.sort((one, other) => one.id.localeCompare(other.id))
}
