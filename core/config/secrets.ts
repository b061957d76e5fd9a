import { join } from 'node:path'
import { ConfigError, type Environment } from './problem.ts'
import { readText } from './read.ts'

interface Secret {
  readonly variable: string
  readonly credential: string
  readonly fits: (text: string) => boolean
  readonly misfit: string
}

const botToken: Secret = {
  variable: 'TELEGRAM_BOT_TOKEN',
  credential: 'telegram-bot-token',
  fits: (text) => /^\d{1,20}:[\w-]{1,256}$/.test(text),
  misfit: 'this is not a bot token; @BotFather gives one as digits, a colon and letters',
}
const storeUrl: Secret = {
  variable: 'PATCHBAY_STORE_URL',
  credential: 'store-url',
  fits: (text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text),
  misfit: 'this is no URL of a PostgreSQL, such as postgresql://user:password@127.0.0.1/patchbay',
}

const redisUrl: Secret = {
  variable: 'PATCHBAY_REDIS_URL',
  credential: 'redis-url',
  fits: (text) => /^rediss?:\/\//.test(text) && URL.canParse(text),
  misfit: 'this is no URL of a Redis, such as redis://user:password@127.0.0.1:6379',
}

/** The variables that hold secrets themselves: nothing that this process starts is to inherit them. */
export const secretVariables: readonly string[] = [botToken.variable, storeUrl.variable, redisUrl.variable]

/**
 * Each secret comes from its variable, else the file named by the variable with `_FILE`, else the systemd credential. Rejects with a
 * ConfigError, which never contains one. Leaves `env` as it is.
 */
export async function readSecrets(env: Environment): Promise<{ botToken?: string; storeUrl?: string; redisUrl?: string }> {
  const [token, url] = [await readSecret(env, botToken), await readSecret(env, storeUrl)]
  const redis = await readSecret(env, redisUrl)
  if (redis && !url)
    throw new ConfigError(
      `${redisUrl.variable}: several hosts keep what plugins store in one PostgreSQL; set ${storeUrl.variable} too.`,
    )
  return { ...(token && { botToken: token }), ...(url && { storeUrl: url }), ...(redis && { redisUrl: redis }) }
}

async function readSecret(env: Environment, { variable, credential, fits, misfit }: Secret): Promise<string | undefined> {
  const checked = (text: string, source: string) => {
    if (fits(text.trim())) return text.trim()
    throw new ConfigError(`${source}: ${misfit}`)
  }
  const [said, named] = [env[variable], env[`${variable}_FILE`]]
  if (said) return checked(said, variable)
  const path = named || (env.CREDENTIALS_DIRECTORY && join(env.CREDENTIALS_DIRECTORY, credential))
  if (!path) return undefined
  // The path is not told: somebody may have put the secret itself there.
  const source = `the file of ${named ? `${variable}_FILE` : `the credential ${credential}`}`
  const { text, fault = named && text === undefined ? 'there is no such file' : undefined } = await readText(path)
  if (fault) throw new ConfigError(`${source}: ${fault}`)
  return text === undefined ? undefined : checked(text, source)
}
