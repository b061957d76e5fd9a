import { parseArgs } from 'node:util'
import { resolvePaths } from '../../core/config/paths.ts'
import { diagnose } from '../../core/lifecycle/diagnosis.ts'
import { examineHost } from '../../core/lifecycle/diagnosis-host.ts'
import { thisUser } from '../../core/lifecycle/needs-user.ts'
import type { Finding } from '../../core/plugin/capabilities.ts'
import type { Diagnosis } from '../../core/plugin/host-control.ts'
import { SystemBus } from '../../core/process/dbus.ts'
import { askIfRunning } from './ask.ts'
import type { Installation } from './main.ts'
import { coloured, table } from './table.ts'
import { readDisk } from './without-daemon.ts'

/** A plugin's findings; its state is `not running` where no daemon could tell. */
type Row = Omit<Diagnosis, 'state'> & { readonly state: string }

const colours = { ok: 'green', '--': 'yellow', '!!': 'red' } as const

/**
 * Tells for the host and every plugin what they need, what is there, and the command that mends what is not: seen by the daemon that
 * runs, as its user, or else by whoever asks. Exit code 1: something is missing that is needed by what is switched on; 2: wrong use.
 */
export async function doctor(args: string[], installation: Installation): Promise<void> {
  const json = wantsJson(args)
  const answer = await askIfRunning({ command: 'doctor' }, installation)
  const rows = answer ? (answer.plugins as Row[]) : await lookOurselves(installation)
  if (json) process.stdout.write(`${JSON.stringify({ daemon: answer !== undefined, plugins: rows }, undefined, 2)}\n`)
  else process.stdout.write(`${answer ? '' : await preface(installation)}${report(rows)}`)
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

/** The same checks without a daemon. */
async function lookOurselves(installation: Installation): Promise<Row[]> {
  const { facts, found, isEnabled } = await readDisk(installation)
  const bus = new SystemBus()
  const units = found.map((each) => ({
    found: each,
    status: {
      id: each.id,
      // What is enabled would run: it is looked at as such.
      state: each.problem ? ('failed' as const) : isEnabled(each) ? ('unavailable' as const) : ('disabled' as const),
      ...(each.problem && { reason: each.problem }),
    },
    diagnose: () => Promise.resolve([]),
  }))
  const diagnoses = await diagnose({ units: () => units }, bus, () => examineHost(facts))
  bus.close()
  return diagnoses.map((each) => ({ ...each, state: each.state === 'unavailable' ? 'not running' : each.state }))
}

async function preface({ root }: Installation): Promise<string> {
  const { dataDir } = resolvePaths(process.env, root)
  const { name } = await thisUser()
  return `No daemon runs with the data directory ${dataDir}: this is what the user ${name} sees.\n\n`
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
