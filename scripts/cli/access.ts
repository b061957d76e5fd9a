import { Config } from '../../core/config/config.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import type { Installation } from './main.ts'

/** Lists and edits access.json, keeping its comments; a daemon that runs notices by itself. */
export async function access(args: string[], { root, commandName }: Installation): Promise<void> {
  const { configDir } = resolvePaths(process.env, root)
  const config = await Config.open({ configDir, env: process.env })
  const [action = 'list', id, role = 'operator'] = args
  if (action === 'list') {
    const rows = Object.entries(config.access.users).map(([user, roles]) => `${user.padEnd(16)} ${[roles].flat().join(', ')}\n`)
    process.stdout.write(
      rows.length > 0 ? rows.join('') : `Nobody is on the list. Add yourself: ${commandName} access add <telegram id> owner\n`,
    )
    return
  }
  if (!['add', 'remove'].includes(action) || !/^\d{1,16}$/.test(id ?? ''))
    throw new Error(`Usage: ${commandName} access list | add <telegram id> [role] | remove <telegram id>`)
  if (action === 'remove' && !Object.hasOwn(config.access.users, id as string)) throw new Error(`${id} is not on the list.`)
  await config.update('access', ['users', id as string], action === 'add' ? role : undefined)
  process.stdout.write(
    action === 'add' ? `Telegram user ${id} may enter as ${role}.\n` : `Telegram user ${id} may no longer enter.\n`,
  )
}
