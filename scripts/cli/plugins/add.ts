import { parseArgs } from 'node:util'
import { lacking } from '../../../core/lifecycle/grants.ts'
import { printable } from '../../../core/log.ts'
import type { Installation } from '../main.ts'
import { usage } from '../plugins.ts'
import { install, type Outcome } from './install.ts'
import { openSource } from './source.ts'

/** Adds a plugin, switched off; or puts a newer version in the place of one that was added. */
export async function add(args: string[], installation: Installation): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: 'boolean' } } })
  const [text] = positionals
  if (text === undefined || positionals.length > 1)
    throw usage('add <name[@version] of npm, a .tgz or ./folder> [--json]', installation)
  // Before it becomes another user, who may not read it.
  const source = await openSource(text)
  const outcome = await install(source, installation)
  process.stdout.write(values.json ? `${JSON.stringify(outcome, undefined, 2)}\n` : sentencesOf(outcome, installation))
}

/** What came of it, for people. */
export function sentencesOf(
  { id, before, isNew, dependencies, enabled, asks, notes, ...rest }: Outcome,
  { commandName }: Installation,
): string {
  const [version, integrity] = [printable(rest.version), printable(rest.integrity)]
  const held = enabled
    ? lacking(
        id,
        asks.map(({ grant }) => grant),
        commandName,
      )
    : undefined
  const lines = [...notes]
  if (before === undefined) {
    const more = dependencies > 0 ? `, with ${dependencies} packages that it depends on` : ''
    lines.unshift(`Added ${id} ${version}${more}.`, integrity)
    lines.push(`It is off. To see what it asks for, and to switch it on: ${commandName} plugins enable ${id}`)
  } else if (!isNew) lines.unshift(`${id} ${version} is what is there.`)
  else
    lines.unshift(
      `Updated ${id} from ${printable(before)} to ${version}. To go back: ${commandName} plugins rollback ${id}`,
      integrity,
    )
  if (held) lines.push(`It stays off now. ${held}`)
  return `${lines.map(printable).join('\n')}\n`
}
