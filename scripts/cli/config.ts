import { Config } from '../../core/config/config.ts'
import { variableFor } from '../../core/config/environment.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import type { Installation } from './main.ts'

/**
 * Reads and edits host.json and plugins.json, keeping their comments: a setting by its path with dots, such as `publicUrl`,
 * `log.level` or `plugins.wifi.enabled`. A value is JSON, or else text. A daemon that runs notices by itself.
 */
export async function config(args: string[], { root, commandName }: Installation): Promise<void> {
  const [action = '', key = '', value, ...rest] = args
  const isUsed = {
    get: value === undefined,
    unset: key && value === undefined,
    set: key && value !== undefined && rest.length === 0,
  }
  if (!Object.hasOwn(isUsed, action) || !isUsed[action as keyof typeof isUsed]) {
    process.exitCode = 2
    throw new Error(
      `Usage: ${commandName} config get [key] | set <key> <value> | unset <key>   (such as publicUrl, plugins.wifi.enabled)`,
    )
  }
  const { configDir } = resolvePaths(process.env, root)
  const config = await Config.open({ configDir, env: process.env })
  const path = key.split('.').filter(Boolean)
  if (action === 'get') return print({ ...config.host, ...config.plugins }, path, key)
  const wanted = action === 'unset' ? undefined : parsed(value as string)
  await config.update(path[0] === 'plugins' ? 'plugins' : 'host', path, wanted)
  process.stdout.write(wanted === undefined ? `${key} is not set any more.\n` : `${key} is set to ${JSON.stringify(wanted)}.\n`)
  const variable = path[0] === 'plugins' ? undefined : variableFor(path, process.env)
  if (variable) process.stderr.write(`The environment variable ${variable} comes before it.\n`)
}

/** Prints what is in force: with defaults, and with what the environment says. */
function print(all: unknown, path: readonly string[], key: string): void {
  const value = path.reduce<unknown>(
    (inner, name) => (isObject(inner) && Object.hasOwn(inner, name) ? inner[name] : undefined),
    all,
  )
  if (value === undefined) throw new Error(`${key} is not set.`)
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text // an address or a word need no quotes
  }
}
