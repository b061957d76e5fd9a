import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { parseArgs } from 'node:util'
import { isLoopback, isPrivate } from '../../core/auth/address.ts'
import { Config } from '../../core/config/config.ts'
import { resolvePaths } from '../../core/config/paths.ts'
import { readSecrets } from '../../core/config/secrets.ts'
import { askIfRunning } from './ask.ts'
import type { Installation } from './main.ts'

const answerMs = 15_000
const tokenPattern = /^(\d{1,20}):[\w-]{1,256}$/

/** How the Bot API answers, as far as it is used here. */
interface Reply<T> {
  readonly ok: boolean
  readonly result?: T
  readonly description?: string
}
interface MenuButton {
  readonly type: string
  readonly web_app?: { readonly url: string }
}

/**
 * Links a Telegram bot: checks its token and the public URL, gives the bot the menu button that opens the app, writes `publicUrl` and
 * `telegram.botId` to host.json, and says what is missing. The token comes from a prompt, a file or where the daemon has it from, and
 * is kept nowhere: Telegram's signature can be checked with the bot's id alone.
 */
export async function telegram(args: string[], installation: Installation): Promise<void> {
  const { root, commandName } = installation
  const options = { 'token-file': { type: 'string' }, url: { type: 'string' }, api: { type: 'string' } } as const
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true })
  if (positionals.length !== 1 || positionals[0] !== 'setup') {
    process.exitCode = 2
    throw new Error(`Usage: ${commandName} telegram setup [--url https://…] [--token-file <file>] [--api <Bot API server>]`)
  }
  const { configDir } = resolvePaths(process.env, root)
  const config = await Config.open({ configDir, env: process.env })
  try {
    const url = judgeUrl(values.url ?? config.host.publicUrl ?? (await prompt('Public URL of this machine (https://…): ')))
    const token = await findToken(values['token-file'])
    const bot = new Bot(token, values.api ?? 'https://api.telegram.org')
    const { username } = await bot.ask<{ username: string }>('getMe')
    say(`The bot is @${username}.`)
    await config.update('host', ['publicUrl'], url)
    await config.update('host', ['telegram', 'botId'], Number(tokenPattern.exec(token)?.[1]))
    say(`host.json has its id and ${url}. The token is kept nowhere.`)
    await bot.ask('setChatMenuButton', { menu_button: { type: 'web_app', text: 'Patchbay', web_app: { url } } })
    const button = await bot.ask<MenuButton>('getChatMenuButton')
    if (button.web_app?.url.replace(/\/$/, '') !== url)
      throw new Error('Telegram took the menu button and shows another. Try again.')
    say(`Its menu button opens ${url}.`)
    const missing = [
      await reach(url, installation),
      ...(hasOwner(config)
        ? []
        : [
            `Nobody is owner yet: open the app, and it tells your id and the command; or ${commandName} access add <telegram id> owner`,
          ]),
    ]
    for (const sentence of missing.filter(Boolean)) say(`Missing: ${sentence}`)
    if (missing.every((sentence) => !sentence)) say(`All is there. Open https://t.me/${username}`)
  } finally {
    await config.close()
  }
}

const say = (line: string) => void process.stdout.write(`${line}\n`)
const hasOwner = (config: Config) => Object.values(config.access.users).some((roles) => [roles].flat().includes('owner'))

/** What Telegram takes: HTTPS, at a name that all the world, or all of a tailnet, knows. */
function judgeUrl(text: string): string {
  if (!URL.canParse(text)) throw new Error(`${JSON.stringify(text.slice(0, 80))} is no URL.`)
  const { protocol, hostname, origin, pathname, search, hash } = new URL(text)
  if (protocol !== 'https:')
    throw new Error(
      'Telegram opens apps over HTTPS only. `tailscale serve` or a named tunnel gives a machine at home an HTTPS address.',
    )
  if (hostname === 'localhost' || isLoopback(hostname))
    throw new Error(`${hostname} means the phone itself there. Give the name that others know.`)
  if (isPrivate(hostname))
    throw new Error(`${hostname} is known in your local network only, and has no certificate that Telegram's phones trust.`)
  if (pathname !== '/' || search || hash) throw new Error(`The app is at the root: give ${origin}.`)
  return origin
}

async function findToken(file: string | undefined): Promise<string> {
  const text =
    file === undefined
      ? ((await readSecrets(process.env)).botToken ?? (await prompt('Token of the bot, from @BotFather: ', true)))
      : await readFile(file, 'utf8').catch(() => '')
  if (!tokenPattern.test(text.trim()))
    throw new Error('This is not a bot token; @BotFather gives one as digits, a colon and letters.')
  return text.trim()
}

/** What a person types; a secret is not shown. */
async function prompt(question: string, isSecret = false): Promise<string> {
  if (!process.stdin.isTTY) throw new Error(`Nobody is here to be asked: ${question.trim()} Use --url and --token-file.`)
  process.stdout.write(question)
  const output = isSecret ? new Writable({ write: (_chunk, _encoding, done) => done() }) : process.stdout
  const lines = createInterface({ input: process.stdin, output, terminal: true })
  const typed = await lines.question('')
  lines.close()
  if (isSecret) process.stdout.write('\n')
  return typed.trim()
}

/** The Bot API. Its URLs hold the token, so that no error of theirs is shown. */
class Bot {
  readonly #base: string

  constructor(token: string, api: string) {
    this.#base = `${api.replace(/\/$/, '')}/bot${token}`
  }

  /** Rejects with a sentence. */
  async ask<T>(method: string, payload: object = {}): Promise<T> {
    const request = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(payload),
      signal: AbortSignal.timeout(answerMs),
    }
    const reply = await fetch(`${this.#base}/${method}`, request)
      .then((response) => response.json() as Promise<Reply<T>>)
      .catch(() => undefined)
    if (!reply) throw new Error(`Telegram's Bot API did not answer ${method}. Is this machine on the internet?`)
    if (!reply.ok || reply.result === undefined)
      throw new Error(`Telegram refused ${method}: ${reply.description ?? 'it gave no reason'}.`)
    return reply.result
  }
}

/** What is wrong with the way from the URL to this daemon, or undefined. */
async function reach(url: string, installation: Installation): Promise<string | undefined> {
  if (!(await askIfRunning({ command: 'ping' }, installation)))
    return `the daemon does not run: ${installation.commandName} start`
  const health = await fetch(`${url}/healthz`, { redirect: 'error', signal: AbortSignal.timeout(answerMs) }).catch(
    (error: Error) => error,
  )
  if (health instanceof Error) {
    const { code } = (health.cause ?? {}) as { code?: string }
    return `${url} is not reached from here (${code ?? health.message}). Does the tunnel run, and does its name lead to it?`
  }
  if (!health.ok || !health.headers.has('X-Patchbay-Instance'))
    return `${url} answers, but it is not Patchbay (${health.status}). Lead the tunnel to the port that the daemon listens on.`
  const app = await fetch(`${url}/`, { redirect: 'error', signal: AbortSignal.timeout(answerMs) }).catch(() => undefined)
  return app?.ok ? undefined : `the app is switched off: ${installation.commandName} plugins enable panel`
}
