import { isDeepStrictEqual } from 'node:util'
import { isObject, type Schema } from '../../../plugins/contract/driver/schema.ts'
import { type Direction, plain, renamed, schemaBreaks } from './schema-break.ts'

/** What a client of an older document notices of a newer one, a sentence each. */
export interface Changes {
  /** It may stop working. */
  readonly breaks: string[]
  /** It may have to wait, or is given up on, sooner. */
  readonly notices: string[]
}

interface Module {
  readonly subscribeRole: string
  readonly errors: Readonly<Record<string, string>>
  readonly routes: Readonly<Record<string, { readonly role: string; readonly token: boolean }>>
}
interface Message {
  readonly payload?: Schema
}
interface Operation {
  readonly action: 'receive' | 'send'
  readonly channel: { readonly $ref: string }
  readonly messages: ReadonlyArray<{ readonly $ref: string }>
  readonly reply?: { readonly messages: ReadonlyArray<{ readonly $ref: string }> }
  readonly 'x-patchbay-module'?: string
  readonly 'x-patchbay-role'?: string
  readonly 'x-patchbay-rate'?: { readonly max: number; readonly windowMs: number }
  readonly 'x-patchbay-timeout-ms'?: number
  readonly 'x-patchbay-in-flight'?: number
  readonly 'x-patchbay-retained'?: boolean
  readonly 'x-patchbay-to'?: string
}
/** What is compared of a document that plugins/contract makes. */
export interface Document {
  readonly info: {
    readonly version: string
    readonly 'x-patchbay-handshake': object
    readonly 'x-patchbay-errors': Readonly<Record<string, string>>
    readonly 'x-patchbay-modules': Readonly<Record<string, Module>>
  }
  readonly channels: Readonly<Record<string, { readonly 'x-patchbay-policy': string }>>
  readonly operations: Readonly<Record<string, Operation>>
}

const roles = ['viewer', 'operator', 'owner']
/** Everybody who is let in ranks below them. */
const rank = (role: string | undefined) => (role === undefined ? -1 : roles.indexOf(role))

export function documentChanges(before: Document, after: Document): Changes {
  const [breaks, notices]: [string[], string[]] = [[], []]
  const [olds, news] = [before.operations, after.operations]
  const newcomers = Object.keys(news)
    .filter((id) => !Object.hasOwn(olds, id))
    .map((id) => [id, shapeOf(after, news[id] as Operation)] as const)
  const gone = new Set(Object.keys(before.info['x-patchbay-modules']).filter((id) => !after.info['x-patchbay-modules'][id]))
  for (const [id, old] of Object.entries(olds)) {
    const now = Object.hasOwn(news, id) ? news[id] : undefined
    if (gone.has(old['x-patchbay-module'] ?? '')) continue
    if (now === undefined) breaks.push(renamed(id, shapeOf(before, old), newcomers))
    else if (old.action !== now.action) breaks.push(`${id} is ${now.action === 'send' ? 'an event' : 'a command'} now`)
    else {
      breaks.push(...(old.action === 'receive' ? commandBreaks : eventBreaks)(id, [before, old], [after, now]))
      notices.push(...commandNotices(id, old, now))
    }
  }
  breaks.push(...moduleBreaks(before.info, after.info))
  for (const [id, { 'x-patchbay-policy': policy }] of Object.entries(before.channels)) {
    const now = after.channels[id]?.['x-patchbay-policy']
    if (now !== policy)
      breaks.push(`the namespace ${id} ${now === undefined ? 'is gone' : `has the policy ${now}, not ${policy}`}`)
  }
  const handshakes = [before, after].map(({ info }) => plain(info['x-patchbay-handshake']))
  if (!isDeepStrictEqual(handshakes[0], handshakes[1])) breaks.push('the handshake is another')
  return { breaks, notices }
}

type Side = readonly [Document, Operation]

function commandBreaks(id: string, [before, old]: Side, [after, now]: Side): string[] {
  const roleOf = (operation: Operation) => operation['x-patchbay-role']
  const role =
    rank(roleOf(now)) > rank(roleOf(old)) ? [`${id} asks for the role ${roleOf(now)}, not ${roleOf(old) ?? 'any'}`] : []
  const payload = valueBreaks(`the payload of ${id}`, payloadOf(before, old), payloadOf(after, now), 'input')
  return [...role, ...payload, ...valueBreaks(`the result of ${id}`, resultOf(before, old), resultOf(after, now), 'output')]
}

function eventBreaks(id: string, [before, old]: Side, [after, now]: Side): string[] {
  const retained = old['x-patchbay-retained'] && !now['x-patchbay-retained'] ? [`${id} is retained no more`] : []
  const [was, is] = [old['x-patchbay-to'], now['x-patchbay-to']]
  // Who is subscribed is connected too.
  const reaches = was === is || (was === 'subscribers' && is === 'connected') ? [] : [`${id} goes to ${is}, not ${was}`]
  return [...retained, ...reaches, ...valueBreaks(id, payloadOf(before, old), payloadOf(after, now), 'output')]
}

/** Both may be nothing. A client that sends nothing has sent null. */
function valueBreaks(what: string, old: Schema | undefined, now: Schema | undefined, direction: Direction): string[] {
  if (now === undefined) return old === undefined ? [] : [`${what} is gone`]
  if (old === undefined && direction === 'output') return []
  return schemaBreaks(old ?? { type: 'null' }, now, direction).map((sentence) => `${what}: ${sentence}`)
}

function commandNotices(id: string, old: Operation, now: Operation): string[] {
  const notices: string[] = []
  const [was, is] = [old['x-patchbay-rate'], now['x-patchbay-rate']]
  if (was && is && (is.max < was.max || is.max / is.windowMs < was.max / was.windowMs))
    notices.push(`${id} may be given ${is.max} times in ${is.windowMs} ms, not ${was.max} in ${was.windowMs} ms`)
  for (const [keyword, what] of [
    ['x-patchbay-timeout-ms', 'is answered TIMEOUT after ms'],
    ['x-patchbay-in-flight', 'may be unanswered at a time'],
  ] as const) {
    const [had, has] = [old[keyword] ?? 0, now[keyword] ?? 0]
    if (has < had) notices.push(`${id} ${what}: ${has}, not ${had}`)
  }
  return notices
}

function moduleBreaks(before: Document['info'], after: Document['info']): string[] {
  const codesGone = (of: string, old: object, now: object) =>
    Object.keys(old)
      .filter((code) => !Object.hasOwn(now, code))
      .map((code) => `the error code ${code} of ${of} is gone`)
  const breaks = codesGone('the core', before['x-patchbay-errors'], after['x-patchbay-errors'])
  for (const [id, old] of Object.entries(before['x-patchbay-modules'])) {
    const now = after['x-patchbay-modules'][id]
    if (now === undefined) {
      breaks.push(`the module ${id} is gone`)
      continue
    }
    breaks.push(...codesGone(id, old.errors, now.errors))
    if (rank(now.subscribeRole) > rank(old.subscribeRole))
      breaks.push(`subscribing to ${id} asks for the role ${now.subscribeRole}, not ${old.subscribeRole}`)
    for (const [name, route] of Object.entries(old.routes)) {
      const { role, token } = now.routes[name] ?? {}
      if (role === undefined) breaks.push(`the route ${name} of ${id} is gone`)
      else if (rank(role) > rank(route.role))
        breaks.push(`the route ${name} of ${id} asks for the role ${role}, not ${route.role}`)
      else if (route.token && !token) breaks.push(`the route ${name} of ${id} takes no token of its own any more`)
    }
  }
  return breaks
}

/** What makes two operations the same but for the name. */
function shapeOf(document: Document, operation: Operation): object {
  const { action, 'x-patchbay-retained': retained, 'x-patchbay-to': to } = operation
  return { action, retained, to, payload: payloadOf(document, operation), result: resultOf(document, operation) }
}

function payloadOf(document: Document, { messages: [message] }: Operation): Schema | undefined {
  const { payload } = follow(document, message?.$ref) as Message
  return payload === undefined ? undefined : whole(document, payload)
}

/** What a command that succeeded is answered with. */
function resultOf(document: Document, { reply }: Operation): Schema | undefined {
  if (!reply) return undefined
  const { payload } = follow(document, reply.messages[0]?.$ref) as Message
  const [success] = (payload as { oneOf: Schema[] }).oneOf
  return success === undefined ? undefined : whole(document, success)
}

/** A schema with what it refers to in it. */
function whole(document: Document, schema: unknown): Schema {
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit)
    if (!isObject(value)) return value
    if (typeof value.$ref === 'string') return visit(follow(document, value.$ref))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, visit(item)]))
  }
  return visit(schema) as Schema
}

function follow(document: Document, $ref = ''): unknown {
  const path = $ref.replace(/^#\//, '').split('/')
  return path.reduce<unknown>(
    (value, key) => (isObject(value) || Array.isArray(value) ? (value as Record<string, unknown>)[key] : undefined),
    document,
  )
}
