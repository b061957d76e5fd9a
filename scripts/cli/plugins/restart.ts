import { parseArgs } from 'node:util'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { ask } from '../ask.ts'
import type { Installation } from '../main.ts'

/** Stops and starts a plugin, out of quarantine and in safe mode too, and tells what came of it. Exit code 1: it does not run. */
export async function restart(args: string[], installation: Installation): Promise<void> {
  const { positionals } = parseArgs({ args, allowPositionals: true })
  const [id] = positionals
  if (id === undefined || positionals.length > 1) {
    process.exitCode = 2
    throw new Error(`Usage: ${installation.commandName} plugins restart <id>`)
  }
  const { state, reason = '' } = (await ask({ command: 'restart', plugin: id }, installation)) as unknown as PluginStatus
  process.stdout.write(`${id} is ${state}${reason && `: ${reason}`}\n`)
  if (state !== 'running') process.exitCode = 1
}
