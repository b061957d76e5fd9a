import type { Logger } from 'pino'
import { escaped, LineLimit } from '../log-rules.ts'
import type { Log } from '../plugin/context.ts'
import { boundedCopy, errorCopy, read } from './bounded-copy.ts'

const most = { message: 1000, fields: 4000, error: 6000, line: 7 * 1024, short: 250 }

/**
 * The log that a plugin gets. What it passes stands under `data`, its errors under `err`, its sentence in `msg`; the host's own
 * lines have no `data`. So no line of a plugin can be taken for the host's. Whatever is passed, a line has at most 8 KiB and
 * nothing is thrown. Of too many lines some are left out, and one of the host's says how many.
 */
export function createPluginLog(log: Logger): Log {
  // The copy that is written was made here: no code of the plugin's runs while pino writes.
  const own = log.child({}, { serializers: { err: (copied: unknown) => copied } })
  const limit = new LineLimit((count) => log.warn({ leftOut: count }, 'it logged too much; lines were left out'))
  const write = (level: keyof Log) => (fields: unknown, message?: unknown) => {
    if (!log.isLevelEnabled(level) || !limit.admits()) return
    const { msg, ...line } = lineOf(fields, message)
    own[level](line, msg)
  }
  return Object.freeze({ debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') })
}

interface Line {
  readonly data: unknown
  readonly err?: unknown
  readonly msg?: string
}

/** Plugins in JavaScript may also pass a sentence alone, or an error alone. */
function lineOf(fields: unknown, message: unknown): Line {
  const copied = boundedCopy(fields, { left: most.fields })
  const said = typeof fields === 'string' ? fields : message
  const error = read(fields, 'stack') === undefined ? read(fields, 'err') : fields
  const { err: _, ...data } =
    typeof copied === 'object' && copied !== null && error !== fields ? (copied as { err?: unknown }) : {}
  const line = {
    data,
    ...(error !== undefined && { err: errorCopy(error, { left: most.error }) }),
    ...(typeof said === 'string' && { msg: cut(said, most.message) }),
  }
  return Buffer.byteLength(escaped(JSON.stringify(line))) > most.line ? shortened(line) : line
}

/** Escapes can make a text six times as long. */
function shortened({ err, msg }: Line): Line {
  const texts = ['type', 'message', 'stack'].map((key) => [key, cut(String(read(err, key)), most.short)])
  return {
    data: '[too long]',
    ...(err !== undefined && { err: Object.fromEntries(texts) as object }),
    ...(msg !== undefined && { msg: cut(msg, most.short) }),
  }
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text
}
