import type { Writable } from 'node:stream'
import { type Logger, pino } from 'pino'

const redact = ['token', 'sessionToken', 'initData', 'password', 'code', 'pin', 'secret', 'authorization', 'cookie'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
])

/** Makes text from outside harmless on a terminal and in a log line: control and invisible characters become escapes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`)
}

/** JSON lines, as journald and the like want them; on a terminal one readable line each. */
export function createLog(level: string, output: Writable & { isTTY?: boolean }): Logger {
  const stream = output.isTTY ? { write: (line: string) => output.write(readable(line)) } : output
  return pino({ level, redact: { paths: redact, censor: '[secret]' }, base: null, timestamp: () => `,"time":${Date.now()}` }, stream)
}

function readable(line: string): string {
  const { level, time, msg = '', plugin = 'host', err, ...rest } = JSON.parse(line) as Record<string, unknown> & { err?: { stack?: string } }
  const name = pino.levels.labels[level as number] ?? ''
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const stack = err?.stack ? `\n${err.stack.split('\n').map(printable).join('\n')}` : ''
  const clock = new Date(time as number).toTimeString().slice(0, 8)
  return `${clock} ${name.padEnd(5)} ${printable(`${String(plugin)}: ${String(msg)}${fields.join('')}`)}${stack}\n`
}
