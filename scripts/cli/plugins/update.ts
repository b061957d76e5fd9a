import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { lacking, ungranted } from '../../../core/lifecycle/grants.ts'
import { readPackage } from '../../../core/lifecycle/read-package.ts'
import { printable } from '../../../core/log.ts'
import type { Installation } from '../main.ts'
import { usage } from '../plugins.ts'
import { readDisk } from '../without-daemon.ts'
import { sentencesOf } from './add.ts'
import { enterDataDir, entryOf, install, installed, type Outcome, openConfig } from './install.ts'
import { openSource } from './source.ts'
import { exchange, inWorkshop } from './workshop.ts'

/** Looks for newer versions of plugins that came from npm's registry, all of them or those named, and puts them in place. */
export async function update(args: string[], installation: Installation): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: 'boolean' } } })
  const pluginsDir = join(await enterDataDir(installation), 'plugins')
  const known = await installed(pluginsDir, (await readDisk(installation)).found)
  const stranger = positionals.find((id) => known.every((each) => each.id !== id))
  if (stranger !== undefined)
    throw new Error(`${printable(stranger)} was not installed by ${installation.commandName} plugins add.`)
  const wanted = positionals.length > 0 ? known.filter(({ id }) => positionals.includes(id)) : known
  const outcomes: Array<Outcome | { readonly id: string; readonly problem: string }> = []
  for (const { id, record } of wanted) {
    const again = `${installation.commandName} plugins add ${printable(record.from)}`
    try {
      // Whoever asks may not be the one that may read it.
      if (record.source !== 'npm') throw new Error(`It came from a ${record.source}. To look there again: ${again}`)
      outcomes.push(await install(await openSource(record.from), installation, id))
    } catch (error) {
      outcomes.push({ id, problem: (error as Error).message })
      if (record.source === 'npm' || positionals.length > 0) process.exitCode = 1
    }
  }
  if (values.json) return void process.stdout.write(`${JSON.stringify(outcomes, undefined, 2)}\n`)
  if (outcomes.length === 0) process.stdout.write(`No plugin was installed by ${installation.commandName} plugins add.\n`)
  for (const outcome of outcomes) {
    if ('problem' in outcome) process.stderr.write(`${outcome.id}: ${outcome.problem}\n`)
    else process.stdout.write(sentencesOf(outcome, installation))
  }
}

/** Puts the version before the last update in place again; the one that was there takes its place, so that doing it twice changes nothing. */
export async function rollback(args: string[], installation: Installation): Promise<void> {
  const { positionals } = parseArgs({ args, allowPositionals: true })
  const [id] = positionals
  if (id === undefined || positionals.length > 1) throw usage('rollback <id>', installation)
  const { commandName } = installation
  const dataDir = await enterDataDir(installation)
  await inWorkshop(dataDir, async ({ pluginsDir, previous }) => {
    const is = (await installed(pluginsDir, (await readDisk(installation)).found)).find((each) => each.id === id)
    const before = is && (await readPackage(previous(id), { builtin: false }))
    if (!before) throw new Error(`There is no earlier version of ${printable(id)} here.`)
    if (before.problem !== undefined || before.contract?.id !== id)
      throw new Error(`The earlier version of ${id} cannot run here: ${before.problem}.`)
    await exchange(previous(id), join(pluginsDir, id))
    const { enabled, grants = [] } = entryOf(await openConfig(installation), id)
    const held = enabled ? lacking(id, ungranted(before.contract, grants), commandName) : undefined
    process.stdout.write(
      `${id} is ${printable(before.version)} again. Version ${printable(is.record.version)} is kept: ${commandName} plugins rollback ${id}\n`,
    )
    if (held) process.stdout.write(`It stays off now. ${printable(held)}\n`)
  })
}
