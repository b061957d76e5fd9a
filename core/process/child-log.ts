import type { Log } from '../plugin/context.ts'
import { boundedCopy, errorCopy, read } from './bounded-copy.ts'

const most = { fields: 4000, error: 8000, message: 1000 }

/** The log of a plugin in its own process: copies go to the host, which writes the lines and judges how many. */
export function createChildLog(send: (level: keyof Log, fields: unknown, message: unknown) => void): Log {
  const write = (level: keyof Log) => (fields: unknown, message?: unknown) =>
    send(
      level,
      boundedCopy(fields, { left: most.fields }),
      typeof message === 'string' ? message.slice(0, most.message) : undefined,
    )
  return Object.freeze({ debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') })
}

/** Something thrown, for the host to judge. Throws for details that JSON cannot hold. */
export function thrownCopy(error: unknown): { readonly message: string } {
  const copied = errorCopy(error, { left: most.error })
  const { message, stack, code } = Object(copied) as Record<string, unknown>
  const [details, retryAfter, status] = ['details', 'retryAfter', 'status'].map((key) => read(error, key))
  return {
    message: [message, copied].find((text) => typeof text === 'string') ?? JSON.stringify(copied),
    ...{ stack, code, retryAfter, status, details: details && (JSON.parse(JSON.stringify(details)) as unknown) },
  }
}
