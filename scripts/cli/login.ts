import { parseArgs } from 'node:util'
import { resolvePaths } from '../../core/config/paths.ts'
import { askDaemon } from '../../core/http/control.ts'
import type { Installation } from './main.ts'

/** Asks the running daemon for a one-time link, over a socket that only its user can reach. */
export async function login(args: string[], { root, commandName }: Installation): Promise<void> {
  const { values } = parseArgs({ args, options: { lan: { type: 'boolean' } } })
  const { dataDir } = resolvePaths(process.env, root)
  const answer = await askDaemon(dataDir, { command: 'login', lan: values.lan === true }).catch(
    (error: NodeJS.ErrnoException) => {
      const isDown = error.code === 'ENOENT' || error.code === 'ECONNREFUSED'
      throw isDown ? new Error(`No daemon runs with the data directory ${dataDir}. Start it: ${commandName} start`) : error
    },
  )
  if (!Array.isArray(answer.urls)) throw new Error(String(answer.error))
  process.stdout.write(`${answer.urls.join('\n')}\n`)
  if (values.lan && answer.urls.length === 1)
    process.stderr.write('No private address of this machine is listened on: set "address" in host.json, "0.0.0.0" for all.\n')
}
