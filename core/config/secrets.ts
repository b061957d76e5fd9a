import { join } from 'node:path'
import { ConfigError, type Environment } from './problem.ts'
import { readText } from './read.ts'

/**
 * The bot token: `TELEGRAM_BOT_TOKEN`, else the file named by `TELEGRAM_BOT_TOKEN_FILE`, else the systemd credential
 * `telegram-bot-token`. Rejects with a ConfigError, which never contains it. Leaves `env` as it is.
 */
export async function readSecrets(env: Environment): Promise<{ botToken?: string }> {
  if (env.TELEGRAM_BOT_TOKEN) return { botToken: checked(env.TELEGRAM_BOT_TOKEN, 'TELEGRAM_BOT_TOKEN') }
  const named = env.TELEGRAM_BOT_TOKEN_FILE
  const path = named || (env.CREDENTIALS_DIRECTORY && join(env.CREDENTIALS_DIRECTORY, 'telegram-bot-token'))
  if (!path) return {}
  // The path is not told: somebody may have put the token itself there.
  const source = `the file of ${named ? 'TELEGRAM_BOT_TOKEN_FILE' : 'the credential telegram-bot-token'}`
  const { text, fault = named && text === undefined ? 'there is no such file' : undefined } = await readText(path)
  if (fault) throw new ConfigError(`${source}: ${fault}`)
  return text === undefined ? {} : { botToken: checked(text, source) }
}

function checked(text: string, source: string): string {
  const token = text.trim()
  if (/^\d{1,20}:[\w-]{1,256}$/.test(token)) return token
  throw new ConfigError(`${source}: this is not a bot token; @BotFather gives one as digits, a colon and letters`)
}
