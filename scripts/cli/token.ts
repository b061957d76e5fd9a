import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { resolvePaths } from '../../core/config/paths.ts'
import { routeTokensFile } from '../../core/http/route-tokens.ts'
import { idPattern } from '../../core/lifecycle/contract-check.ts'
import type { MountedContract } from '../../core/plugin/host-control.ts'
import { writeWhole } from '../../core/write-whole.ts'
import { ask, askIfRunning } from './ask.ts'
import type { Installation } from './main.ts'

/**
 * Makes a token for a plugin's HTTP routes, in the place of the one before, or takes it away. The token alone goes to the standard
 * output, once; its SHA-256 is what stays. A daemon that runs knows it at the next request.
 */
export async function token(args: string[], installation: Installation): Promise<void> {
  const { root, commandName } = installation
  const options = {
    remove: { type: 'boolean' },
    subject: { type: 'string' },
    role: { type: 'string', multiple: true },
    lifetime: { type: 'string', default: '30d' },
  } as const
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options })
  const [plugin = '', ...others] = positionals
  if (!idPattern.test(plugin) || others.length > 0)
    throw new Error(
      `Usage: ${commandName} token <plugin> [--remove | --subject NAME [--role ROLE]... [--lifetime 30d]], with the id of a plugin, such as metrics`,
    )
  if (values.subject !== undefined) return issue(plugin, { ...values, subject: values.subject }, installation)
  const { dataDir } = resolvePaths(process.env, root)
  const file = routeTokensFile(dataDir)
  const hashes = await read(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EACCES') throw error
    throw new Error(`${dataDir} belongs to another user, the daemon's. Try: sudo ${commandName} token ${args.join(' ')}`)
  })
  const hadOne = hashes.delete(plugin)
  const write = () => writeWhole(file, `${JSON.stringify(Object.fromEntries(hashes), undefined, 2)}\n`, { mode: 0o600 })

  if (values.remove) {
    if (!hadOne) throw new Error(`${plugin} has no token.`)
    await write()
    process.stdout.write(`The token of ${plugin} was taken away.\n`)
    return
  }
  await mustTakeTokens(plugin, installation)
  const made = randomBytes(32).toString('base64url')
  hashes.set(plugin, createHash('sha256').update(made).digest('base64url'))
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await write()
  process.stdout.write(`${made}\n`)
  process.stderr.write(`This token of ${plugin} is shown only now.${hadOne ? ' The one before it is void.' : ''}\n`)
}

/** A JSON Web Token by which a plugin knows somebody; the daemon has the key. It alone goes to the standard output. */
async function issue(
  plugin: string,
  { subject, role = [], lifetime }: { subject: string; role?: string[]; lifetime: string },
  installation: Installation,
): Promise<void> {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(lifetime) ?? []
  if (!count) throw new Error('A lifetime is a number and s, m, h or d, such as 30d.')
  const lifetimeS = Number(count) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit] ?? 0)
  const { token, expiresAt } = await ask({ command: 'token', plugin, subject, roles: role, lifetimeS }, installation)
  process.stdout.write(`${String(token)}\n`)
  const what = role.length > 0 ? ` as ${role.join(', ')}` : ''
  process.stderr.write(`It is for ${subject}${what}, until ${new Date(expiresAt as number).toISOString()}, and shown only now.\n`)
}

/** Throws for a plugin whose routes take none: a misspelt id, most likely. Without a daemon that cannot be told. */
async function mustTakeTokens(plugin: string, installation: Installation): Promise<void> {
  const answer = await askIfRunning({ command: 'contracts' }, installation)
  if (!answer) return
  const takers = (answer.contracts as readonly MountedContract[])
    .filter(({ contract }) => Object.values(contract.routes ?? {}).some(({ token }) => token))
    .map(({ id }) => id)
  if (!takers.includes(plugin))
    throw new Error(`${plugin} is no plugin with a route that takes a token; there are: ${takers.join(', ') || 'none'}.`)
}

async function read(file: string): Promise<Map<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, unknown>))
  } catch {
    throw new Error(`${file} is not valid JSON. Remove it; every token has to be made anew then.`)
  }
}
