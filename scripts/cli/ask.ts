import { resolvePaths } from '../../core/config/paths.ts'
import { askDaemon } from '../../core/http/control.ts'
import type { Installation } from './main.ts'

/** Asks the daemon; undefined if none runs. Rejects with what the daemon refuses, or if its socket is another user's. */
export async function askIfRunning(
  request: Parameters<typeof askDaemon>[1],
  { root, commandName }: Installation,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { dataDir } = resolvePaths(process.env, root)
  try {
    const answer = await askDaemon(dataDir, request)
    if (typeof answer.error === 'string') throw new Error(answer.error)
    return answer
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
    if (code !== 'EACCES' && code !== 'EPERM') throw error
    throw new Error(`${dataDir} belongs to another user, the daemon's. Try: sudo ${commandName} ${request.command}`)
  }
}

/** As above, where nothing can be done without a daemon. */
export async function ask(
  request: Parameters<typeof askDaemon>[1],
  installation: Installation,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await askIfRunning(request, installation)
  if (answer) return answer
  const { dataDir } = resolvePaths(process.env, installation.root)
  throw new Error(`No daemon runs with the data directory ${dataDir}. Start it: ${installation.commandName} start`)
}
