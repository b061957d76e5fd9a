import type { Finding } from '../plugin/capabilities.ts'
import type { Log, RouteResponse, Target } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import { type ClientOps, clientOperations } from '../wire/client-operations.ts'
import { coreErrors } from '../wire/errors.ts'
import type { Event, Group, Module } from '../wire/module.ts'

/** What a plugin's process says is taken for what it is: anything. Each of these throws unless it is as it should be. */
const most = { depth: 64, text: 2000, stack: 6000, findings: 100 }

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`it said ${what}`)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export function text(value: unknown, length = most.text): string {
  must(typeof value === 'string', 'something that is no text')
  return value.slice(0, length)
}

export function level(value: unknown): keyof Log {
  must(value === 'debug' || value === 'info' || value === 'warn' || value === 'error', 'a level of the log that is none')
  return value
}

/** Of events of its contract. */
export function names({ groups }: Module, value: unknown): string[] {
  const known = new Set<unknown>([...groups.values()].flatMap(({ events }) => [...events.keys()]))
  const isKnown = Array.isArray(value) && value.length <= known.size && value.every((name) => known.has(name))
  must(isKnown, 'names of events that its contract does not have')
  return value
}

export function number(value: unknown): number {
  must(typeof value === 'number' && value >= 0 && value < 2 ** 31, 'something that is no number')
  return value
}

/** What goes on to a client: its encoder walks it, and each level costs room on the stack. */
export function payload<T>(value: T): T {
  const visit = (inner: unknown, depth: number): void => {
    if (typeof inner !== 'object' || inner === null) return
    must(depth < most.depth, `what is deeper than ${most.depth} levels`)
    for (const key in inner) visit((inner as Record<string, unknown>)[key], depth + 1)
  }
  visit(value, 0)
  return value
}

/** An event of its contract, and whom it goes to. */
export function event(
  groups: ReadonlyMap<string, Group>,
  namespace: unknown,
  name: unknown,
  address: unknown,
): { group: Group; event: Event; target: Target | undefined } {
  const group = groups.get(namespace as string)
  const found = group?.events.get(name as string)
  must(group !== undefined && found !== undefined, 'an event that its contract does not have')
  must((found.definition.to === 'addressed') === (address !== null), 'an event with the wrong address')
  return { group, event: found, target: target(address) }
}

export function target(value: unknown): Target | undefined {
  if (value === null) return undefined
  const [[kind, whom] = [], ...more] = isRecord(value) ? Object.entries(value) : []
  must(more.length === 0 && typeof whom === 'string' && /^(client|user|room)$/.test(kind ?? ''), 'an address that is none')
  return value as Target
}

/** A failure for the subscribers, with a code that it may use. */
export function failure({ contract }: Module, value: unknown): { code: string; message: string; details?: unknown } {
  must(isRecord(value) && typeof value.code === 'string', 'an error that is none')
  const { code, message, details } = value
  must(isCode(contract, code), 'an error code that its contract does not have')
  return { code, message: text(message), ...(details !== undefined && { details: payload(details) }) }
}

function isCode({ errors = {} }: Contract, code: string): boolean {
  return Object.hasOwn(errors, code) || Object.hasOwn(coreErrors, code)
}

/** Something thrown, as it was; what a client may know of it is decided later. */
export function thrown(value: unknown): Error {
  must(isRecord(value), 'an error that is none')
  const { stack, code, details, retryAfter, status } = value
  const error = new Error(text(value.message))
  if (typeof stack === 'string') error.stack = text(stack, most.stack)
  return Object.assign(error, {
    ...(typeof code === 'string' && { code }),
    ...(details !== undefined && { details: payload(details) }),
    ...(typeof retryAfter === 'number' && { retryAfter }),
    ...(typeof status === 'number' && { status }),
  })
}

export function response(value: unknown): RouteResponse {
  must(isRecord(value), 'a response that is none')
  const { status = 200, type, body, bytes, json } = value
  must(Number.isInteger(status) && (status as number) >= 200 && (status as number) < 600, 'a status that is none')
  if (json !== undefined) return { status: status as number, json: payload(json) }
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : body
  must(typeof content === 'string' || Buffer.isBuffer(content), 'a response without a body')
  return { status: status as number, type: text(type, 200), body: content }
}

export function findings(value: unknown): Finding[] {
  must(Array.isArray(value) && value.length <= most.findings, 'no list of findings, or a long one')
  return value.map((each: unknown) => {
    must(isRecord(each), 'a finding that is none')
    const { kind, name, ok, optional, sentence, mend } = each
    return {
      kind: text(kind),
      name: text(name),
      ok: ok === true,
      optional: optional === true,
      sentence: text(sentence),
      ...(mend !== undefined && { mend: text(mend) }),
    }
  })
}

/** Something that it asks of the host about its clients. */
export function clientQuestion(operation: unknown, args: unknown): { operation: keyof ClientOps; args: unknown[] } {
  const known = clientOperations.find((name) => name === operation)
  must(known !== undefined && Array.isArray(args) && args.length <= 4, 'a question about its clients that is none')
  return { operation: known, args: payload(args) }
}
