import { refuse } from './errors.ts'

export type Ack = (answer: object) => void

/** A client's message beside its name. */
export interface Message {
  readonly payload: unknown
  readonly ack: Ack | undefined
  /** How many payloads came; a command takes one at most. */
  readonly payloads: number
}

const maxDepth = 16
const maxElements = 4096

/** Step 1: takes Socket.IO's arguments apart. */
export function parse(args: readonly unknown[]): Message {
  const last = args.at(-1)
  const ack = typeof last === 'function' ? (last as Ack) : undefined
  const payloads = ack ? args.length - 1 : args.length
  return { payload: payloads > 0 ? args[0] : undefined, ack, payloads }
}

/** Refuses what would make validation costly or is no JSON: depth, number of elements, binary. */
export function checkShape({ payload, payloads }: Message): void {
  if (payloads > 1) throw refuse('INVALID_PAYLOAD', 'A command takes one payload.')
  let left = maxElements
  const visit = (value: unknown, depth: number): void => {
    if (--left < 0) throw refuse('INVALID_PAYLOAD', `A payload holds at most ${maxElements} values.`)
    if (typeof value !== 'object' || value === null) return
    if (depth > maxDepth) throw refuse('INVALID_PAYLOAD', `A payload is at most ${maxDepth} levels deep.`)
    if (ArrayBuffer.isView(value)) throw refuse('INVALID_PAYLOAD', 'A payload is JSON, not binary.')
    for (const key in value) visit((value as Record<string, unknown>)[key], depth + 1)
  }
  visit(payload, 1)
}
