import { Console } from 'node:console'
import type { Writable } from 'node:stream'
import { type Logger, pino } from 'pino'
import { escaped, LineLimit, secretNames } from './log-rules.ts'

const redact = [...secretNames].flatMap((key) => [key, `*.${key}`, `*.*.${key}`])
const consoleText = 1000

/** Makes text from outside harmless on a terminal and in a log line: control and invisible characters become escapes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`)
}

/** JSON lines, as journald and the like want them; on a terminal one readable line each. `secrets` are in none of them, wherever they may come from. */
export function createLog(level: string, output: Writable & { isTTY?: boolean }, secrets: readonly string[] = []): Logger {
  const write = (line: string) => output.write(output.isTTY ? readable(line) : escaped(line))
  const stream = { write: (line: string) => write(secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), line)) }
  return pino(
    { level, redact: { paths: redact, censor: '[secret]' }, base: null, timestamp: () => `,"time":${Date.now()}` },
    stream,
  )
}

/**
 * Makes `console` write to the log, as lines of the part `console`, of limited number and length: what plugins and libraries say
 * there is in the same form as everything else. Returns what undoes it.
 */
export function captureConsole(log: Logger): () => void {
  const own = log.child({ part: 'console' })
  const limit = new LineLimit((count) => own.warn({ leftOut: count }, 'too much was written to the console; lines were left out'))
  const stream = (level: 'info' | 'warn') => {
    const write = (text: string) => {
      if (limit.admits()) own[level]({}, text.length > consoleText ? `${text.slice(0, consoleText)}…` : text.trimEnd())
    }
    return { write } as unknown as Writable
  }
  const before = { ...console }
  Object.assign(console, { ...new Console({ stdout: stream('info'), stderr: stream('warn'), ignoreErrors: false }) })
  return () => void Object.assign(console, before)
}

/** A line of the log as a terminal shows it. */
export function readable(line: string): string {
  const {
    level,
    time,
    msg = '',
    plugin = 'patchbay',
    err,
    data,
    ...rest
  } = JSON.parse(line) as Record<string, unknown> & { err?: { stack?: unknown } }
  const name = pino.levels.labels[level as number] ?? ''
  const said = typeof data === 'object' ? { ...rest, ...data } : { ...rest, ...(data !== undefined && { data }) }
  const fields = Object.entries(said).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const stack = typeof err?.stack === 'string' ? `\n${err.stack.split('\n').map(printable).join('\n')}` : ''
  const clock = new Date(time as number).toTimeString().slice(0, 8)
  return `${clock} ${name.padEnd(5)} ${printable(`${String(plugin)}: ${String(msg)}${fields.join('')}`)}${stack}\n`
}
