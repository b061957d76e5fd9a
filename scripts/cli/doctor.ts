import { parseArgs } from 'node:util'
import { resolvePaths } from '../../core/config/paths.ts'
import { checkNeeds } from '../../core/lifecycle/needs.ts'
import { thisUser } from '../../core/lifecycle/needs-user.ts'
import type { Finding } from '../../core/plugin/capabilities.ts'
import type { PluginStatus } from '../../core/plugin/host-control.ts'
import { SystemBus } from '../../core/process/dbus.ts'
import { type Diagnosis, diagnose } from '../../plugins/host/driver/diagnosis.ts'
import { examineHost } from '../../plugins/host/driver/machine.ts'
import { askIfRunning } from './ask.ts'
import type { Installation } from './main.ts'
import { coloured, table } from './table.ts'
import { readDisk } from './without-daemon.ts'

/** A plugin's findings; its state is `not running` where no daemon could tell. */
type Row = Omit<Diagnosis, 'state'> & { readonly state: string }

const colours = { ok: 'green', '--': 'yellow', '!!': 'red' } as const

/**
 * Tells for the host and every plugin what they need, what is there, and the command that mends what is not: seen by the daemon that
 * runs (its host module), as its user, or else by whoever asks. Exit code 1: something is missing that is needed by what is switched on; 2: wrong use.
 */
export async function doctor(args: string[], installation: Installation): Promise<void> {
  const json = wantsJson(args)
  const answer = await askIfRunning({ command: 'doctor' }, installation)
  const seen = answer?.plugins as Row[] | undefined
  const known = answer && !seen ? await askIfRunning({ command: 'plugins' }, installation) : undefined
  const rows = seen ?? (await lookOurselves(installation, known?.plugins as PluginStatus[] | undefined))
  if (json) process.stdout.write(`${JSON.stringify({ daemon: seen !== undefined, plugins: rows }, undefined, 2)}\n`)
  else process.stdout.write(`${seen ? '' : await preface(installation, answer !== undefined)}${report(rows)}`)
  process.exitCode = rows.some((row) => row.findings.some((finding) => markOf(finding, row) === '!!')) ? 1 : 0
}

function wantsJson(args: string[]): boolean {
  try {
    return parseArgs({ args, options: { json: { type: 'boolean' } } }).values.json === true
  } catch (error) {
    process.exitCode = 2
    throw error
  }
}

/** The same checks without a daemon, or with one that cannot look and only knows the states. */
async function lookOurselves(installation: Installation, known: readonly PluginStatus[] = []): Promise<Row[]> {
  const { facts, found, isEnabled } = await readDisk(installation)
  const bus = new SystemBus()
  const patients = found.map((each) => {
    const needs = each.contract?.needs ?? {}
    const isOn = isEnabled(each)
    // What is enabled would run: it is looked at as such.
    const guess = { state: isOn ? ('unavailable' as const) : ('disabled' as const), reason: undefined }
    const onDisk = each.problem ? { state: 'failed' as const, reason: each.problem } : guess
    const { state, reason } = known.find(({ id }) => id === each.id) ?? onDisk
    return {
      id: each.id,
      state,
      ...(reason !== undefined && { reason }),
      needs,
      checkNeeds: () => checkNeeds(needs, { bus, mayStart: isOn }),
      diagnose: () => Promise.resolve([]),
    }
  })
  const diagnoses = await diagnose(patients, { bus, user: await thisUser() }, () => examineHost(facts))
  bus.close()
  if (known.length > 0) return diagnoses
  return diagnoses.map((each) => ({ ...each, state: each.state === 'unavailable' ? 'not running' : each.state }))
}

async function preface({ root }: Installation, hasDaemon: boolean): Promise<string> {
  const { dataDir } = resolvePaths(process.env, root)
  const { name } = await thisUser()
  const why = hasDaemon
    ? 'The daemon cannot look, as its host module does not run'
    : `No daemon runs with the data directory ${dataDir}`
  return `${why}: this is what the user ${name} sees.\n\n`
}

/** What is optional, and what is needed only by a plugin that is switched off, breaks nothing. */
function markOf({ ok, optional }: Finding, { state }: Row): keyof typeof colours {
  if (ok) return 'ok'
  return optional || state === 'disabled' ? '--' : '!!'
}

function report(rows: readonly Row[]): string {
  const lines = rows.flatMap((row): Array<string | string[]> => {
    const { id, state, reason, findings } = row
    if (findings.length === 0)
      return [[id, state, 'ok', state === 'running' ? 'It needs nothing.' : (reason ?? 'It needs nothing.')]]
    return findings.flatMap((finding, index) => {
      const line = [index === 0 ? id : '', index === 0 ? state : '', markOf(finding, row), finding.sentence]
      return finding.ok || !finding.mend ? [line] : [line, `    mend: ${finding.mend}`]
    })
  })
  const paint = (text: string) => (Object.hasOwn(colours, text) ? coloured(text, colours[text as keyof typeof colours]) : text)
  const count = (mark: string) => rows.flatMap((row) => row.findings.filter((finding) => markOf(finding, row) === mark)).length
  const [needed, wished] = [count('!!'), count('--')]
  const sum = `${needed === 0 ? 'Nothing is missing that is needed' : `!! ${needed} missing`}; -- ${wished} more could be mended.`
  return `${table([['PLUGIN', 'STATE', '', 'WHAT WAS FOUND'], ...lines], paint)}\n${sum}\n`
}
