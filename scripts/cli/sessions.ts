import { parseArgs } from 'node:util'
import type { SessionInfo } from '../../core/plugin/host-control.ts'
import { ask } from './ask.ts'
import type { Installation } from './main.ts'
import { ago, table } from './table.ts'

/** Lists who is logged in, or ends a session. */
export async function sessions(args: string[], installation: Installation): Promise<void> {
  const { values, positionals } = parseArgs({ args, options: { json: { type: 'boolean' } }, allowPositionals: true })
  const [action, id] = positionals
  if (action === undefined) return list(values.json === true, installation)
  if (action !== 'revoke' || id === undefined) {
    process.exitCode = 2
    throw new Error(`Usage: ${installation.commandName} sessions [--json] | sessions revoke <id>`)
  }
  const { revoked } = await ask({ command: 'revoke', session: id }, installation)
  if (revoked !== true)
    throw new Error(`There is no session ${JSON.stringify(id)}. See them: ${installation.commandName} sessions`)
  process.stdout.write(`The session has ended: its sockets are closed, and its tokens are good for nothing.\n`)
}

async function list(json: boolean, installation: Installation): Promise<void> {
  const { sessions } = await ask({ command: 'sessions' }, installation)
  if (json) return void process.stdout.write(`${JSON.stringify(sessions, undefined, 2)}\n`)
  const all = sessions as SessionInfo[]
  if (all.length === 0) return void process.stdout.write('Nobody is logged in.\n')
  const rows = all.map(({ id, userId, name, lastUsedAt, clients, refusedTokens }) => {
    const last = refusedTokens.at(-1)
    const alert = last
      ? `; a replaced token of it was used ${ago(last.at)} from ${last.address}: revoke it if that was not you`
      : ''
    const connected = clients === 0 ? `used ${ago(lastUsedAt)}` : `connected${clients > 1 ? ` ${clients} times` : ''}`
    return [id, userId, name, `${connected}${alert}`]
  })
  process.stdout.write(table([['SESSION', 'USER', 'NAME', 'STATE'], ...rows]))
}
