import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { CoreContract, MountedContract } from '../../core/plugin/host-control.ts'
import { writeWhole } from '../../core/write-whole.ts'
import { ask } from './ask.ts'
import type { Installation } from './main.ts'

/** Writes TypeScript types of everything that the running daemon has mounted. */
export async function types(args: string[], installation: Installation): Promise<void> {
  const { values } = parseArgs({ args, options: { output: { type: 'string', short: 'o' } } })
  const answer = await ask({ command: 'contracts' }, installation)
  const { eventMaps } = await import('./types/event-maps.ts')
  const text = await eventMaps(answer.contracts as MountedContract[], answer.core as CoreContract)
  if (values.output === undefined) return void process.stdout.write(text)
  await writeWhole(resolve(values.output), text)
  process.stderr.write(`Wrote ${values.output}.\n`)
}
