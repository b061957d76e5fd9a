import { types } from 'node:util'
import { secretNames } from '../log-rules.ts'

const most = { text: 2000, key: 100, entries: 100, depth: 6, causes: 3 }

/**
 * Plain data that can be logged, from whatever a plugin passes: own enumerable fields, at most 100 of each object, six deep. `room` says how many
 * characters may still be copied. Nothing is thrown; what cannot be read or shown is named in brackets, what has a secret's name too.
 */
export function boundedCopy(value: unknown, room: { left: number }, depth = 0): unknown {
  if (room.left <= 0) return '[…]'
  room.left -= 8
  if (typeof value === 'string') return take(value, room)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'bigint') return take(String(value), room)
  if (typeof value !== 'object') return `[${typeof value}]`
  try {
    if (types.isDate(value)) return take(Date.prototype.toISOString.call(value), room)
    if (types.isNativeError(value)) return errorCopy(value, room)
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
    if (depth === most.depth) return '[…]'
    if (Array.isArray(value))
      return Array.from({ length: Math.min(value.length, most.entries) }, (_, index) => field(value, index, room, depth))
    // Without a prototype no name of a field means anything.
    const copied = Object.create(null) as Record<string, unknown>
    for (const key of Object.keys(value).slice(0, most.entries)) {
      if (room.left <= 0) break
      copied[take(key.slice(0, most.key), room)] = secretNames.has(key) ? '[secret]' : field(value, key, room, depth)
    }
    return copied
  } catch {
    // A getter or a proxy's trap threw: that is the plugin's affair, not the log's.
    return '[unreadable]'
  }
}

/** Type, message, code and stack of what was thrown, its causes' stacks after its own. */
export function errorCopy(error: unknown, room: { left: number }): unknown {
  if (typeof read(error, 'stack') !== 'string') return boundedCopy(error, room)
  const stack = field(error, 'stack', room, most.depth)
  const copied = Object.assign(Object.create(null) as Record<string, unknown>, {
    // A copy of an error has no name, but a type.
    type: field(error, read(error, 'name') === undefined ? 'type' : 'name', room, most.depth),
    message: field(error, 'message', room, most.depth),
    stack,
  })
  const code = read(error, 'code')
  if (typeof code === 'string' || typeof code === 'number') copied.code = boundedCopy(code, room)
  for (let cause = error, nth = 0; nth < most.causes; nth++) {
    cause = read(cause, 'cause')
    const text = field(cause, 'stack', room, most.depth)
    if (typeof text !== 'string' || text.startsWith('[')) break
    copied.stack += `\ncaused by: ${text}`
  }
  return copied
}

function field(from: unknown, key: string | number, room: { left: number }, depth: number): unknown {
  const value = read(from, key)
  return value === unreadable ? '[unreadable]' : boundedCopy(value, room, depth + 1)
}

const unreadable = Symbol('unreadable')

/** A field of whatever this is, or `unreadable`. */
export function read(from: unknown, key: string | number): unknown {
  try {
    return (from as Record<string | number, unknown> | null | undefined)?.[key]
  } catch {
    return unreadable
  }
}

function take(text: string, room: { left: number }): string {
  const length = Math.min(most.text, Math.max(room.left, 0))
  room.left -= Math.min(text.length, length)
  return text.length > length ? `${text.slice(0, length)}…` : text
}
