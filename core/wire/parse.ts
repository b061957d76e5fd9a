import { refuse } from './errors.ts'

export type Ack = (answer: object) => void

/** A client's message: a name, at most one payload, at most one ack. */
export interface Message {
  readonly payload: unknown
  readonly ack: Ack | undefined
  /** What is wrong with it. Told only now: an ack can be answered, an exception cannot. */
  readonly problem: string | undefined
}

const maxDepth = 16
const maxElements = 4096

/** Step 1: takes Socket.IO's arguments apart. */
export function parse(args: readonly unknown[]): Message {
  const last = args.at(-1)
  const ack = typeof last === 'function' ? (last as Ack) : undefined
  const count = ack ? args.length - 1 : args.length
  const payload = count > 0 ? args[0] : undefined
  const problem = count > 1 ? 'A command takes one payload.' : typeof payload === 'object' ? inspect(payload) : undefined
  return { payload, ack, problem }
}

/** Refuses what would make validation costly or is no JSON: depth, number of elements, binary. */
function inspect(payload: object | null): string | undefined {
  let left = maxElements
  const visit = (value: unknown, depth: number): string | undefined => {
    if (--left < 0) return `A payload holds at most ${maxElements} values.`
    if (typeof value !== 'object' || value === null) return undefined
    if (depth > maxDepth) return `A payload is at most ${maxDepth} levels deep.`
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Blob) return 'A payload is JSON, not binary.'
    for (const key in value) {
      const problem = visit((value as Record<string, unknown>)[key], depth + 1)
      if (problem) return problem
    }
    return undefined
  }
  return visit(payload, 1)
}

/** The refusal of a message that parse found a problem with. */
export function checkParsed(message: Message): void {
  if (message.problem) throw refuse('INVALID_PAYLOAD', message.problem)
}
