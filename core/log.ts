import type { Writable } from 'node:stream'
import { type Logger, pino } from 'pino'

const redact = ['token', 'sessionToken', 'initData', 'password', 'pin', 'secret', 'authorization', 'cookie'].flatMap((key) => [
  key,
  `*.${key}`,
  `*.*.${key}`,
])

/** Makes text from outside harmless on a terminal and in a log line: control and invisible characters become escapes. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`)
}

/** JSON lines, as journald and the like want them; on a terminal one readable line each. `secret` is in none of them, wherever it may come from. */
export function createLog(level: string, output: Writable & { isTTY?: boolean }, secret?: string): Logger {
  const write = (line: string) => output.write(output.isTTY ? readable(line) : escaped(line))
  const stream = { write: (line: string) => write(secret ? line.replaceAll(secret, '[secret]') : line) }
  return pino(
    { level, redact: { paths: redact, censor: '[secret]' }, base: null, timestamp: () => `,"time":${Date.now()}` },
    stream,
  )
}

/** JSON itself leaves invisible characters as they are. */
function escaped(line: string): string {
  const shown = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return line.replace(/[\x7f-\x9f\p{Cf}\u2028\u2029]/gu, (character) => character.split('').map(shown).join(''))
}

function readable(line: string): string {
  const {
    level,
    time,
    msg = '',
    plugin = 'patchbay',
    err,
    ...rest
  } = JSON.parse(line) as Record<string, unknown> & { err?: { stack?: string } }
  const name = pino.levels.labels[level as number] ?? ''
  const fields = Object.entries(rest).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  const stack = err?.stack ? `\n${err.stack.split('\n').map(printable).join('\n')}` : ''
  const clock = new Date(time as number).toTimeString().slice(0, 8)
  return `${clock} ${name.padEnd(5)} ${printable(`${String(plugin)}: ${String(msg)}${fields.join('')}`)}${stack}\n`
}
