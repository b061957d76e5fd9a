import { isDeepStrictEqual } from 'node:util'
import { isObject, propertiesOf, requiredOf, type Schema } from '../../../plugins/contract/driver/schema.ts'

/** Who depends on a schema: a client sends what an `input` says, and reads what an `output` says. */
export type Direction = 'input' | 'output'
type Fields = { readonly [keyword: string]: unknown }

const annotations = new Set(['title', 'description', 'default', 'examples', 'definitions'])
const lowest = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties']
const highest = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties']
const structure = new Set([
  'type',
  'const',
  'enum',
  'properties',
  'required',
  'additionalProperties',
  'items',
  ...lowest,
  ...highest,
])
const choices = ['anyOf', 'oneOf']

/**
 * What a client of `before` would notice of `after`, a sentence part each; both without references. An input may take more
 * and not less, an output may say more and not become vaguer. Keywords that are not understood must stay the same.
 */
export function schemaBreaks(before: Schema, after: Schema, direction: Direction, at = ''): string[] {
  const where = at === '' ? 'it' : at
  const [olds, news] = [alternatives(before), alternatives(after)]
  if (olds.length === 1 && news.length === 1) return single(olds[0] as Fields, news[0] as Fields, direction, at)
  // What may come must be among what is understood.
  const [given, understood] = direction === 'input' ? [olds, news] : [news, olds]
  const unmet = given.filter((one) => !understood.some((other) => fits(one, other, direction)))
  return unmet.flatMap((one) => {
    const alike = understood.filter((other) => 'type' in other && other.type === one.type && !('const' in one))
    if (alike.length === 1)
      return direction === 'input'
        ? single(one, alike[0] as Fields, direction, at)
        : single(alike[0] as Fields, one, direction, at)
    return [`${where} ${direction === 'input' ? 'no longer takes' : 'may now be'} ${name(one)}`]
  })
}

function fits(given: Fields, understood: Fields, direction: Direction): boolean {
  const [before, after] = direction === 'input' ? [given, understood] : [understood, given]
  return single(before, after, direction, '').length === 0
}

/** The ways a value may be, each with one type or one value. */
function alternatives(schema: Schema): Fields[] {
  if (!isObject(schema)) return schema ? [{}] : []
  for (const keyword of choices) {
    const { [keyword]: choice, ...rest } = schema
    if (Array.isArray(choice) && Object.keys(rest).every((key) => annotations.has(key)))
      return (choice as Schema[]).flatMap(alternatives)
  }
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => ({ const: value as unknown }))
  return Array.isArray(schema.type) ? schema.type.map((type) => ({ ...schema, type: type as unknown })) : [schema]
}

function single(before: Fields, after: Fields, direction: Direction, at: string): string[] {
  const where = at === '' ? 'it' : at
  const [given, understood] = direction === 'input' ? [before, after] : [after, before]
  if ('const' in understood || 'const' in given) {
    const isSame =
      isDeepStrictEqual(given.const, understood.const) || (!('const' in understood) && takes(understood, given.const))
    return isSame ? [] : [`${where} was ${name(before)} and is ${name(after)}`]
  }
  if (
    understood.type !== undefined &&
    given.type !== understood.type &&
    !(given.type === 'integer' && understood.type === 'number')
  )
    return [`${where} was ${name(before)} and is ${name(after)}`]
  return [
    ...limitBreaks(before, after, direction, where),
    ...otherBreaks(given, understood, where),
    ...propertyBreaks(before, after, direction, at),
    ...itemBreaks(before, after, direction, at),
  ]
}

/** Limits of an input may not become tighter, those of an output may not be lifted. */
function limitBreaks(before: Fields, after: Fields, direction: Direction, where: string): string[] {
  const [given, understood] = direction === 'input' ? [before, after] : [after, before]
  const tighter = (keyword: string, isWithin: (given: number, understood: number) => boolean): string[] => {
    const limit = understood[keyword]
    if (typeof limit !== 'number' || (keyword.startsWith('min') && keyword !== 'minimum' && limit === 0)) return []
    const had = given[keyword]
    if (typeof had === 'number' && isWithin(had, limit)) return []
    const told = (fields: Fields) => (fields[keyword] === undefined ? 'none' : String(fields[keyword]))
    return [`${where} had ${keyword} ${told(before)} and has ${told(after)}`]
  }
  return [
    ...lowest.flatMap((keyword) => tighter(keyword, (had, limit) => had >= limit)),
    ...highest.flatMap((keyword) => tighter(keyword, (had, limit) => had <= limit)),
  ]
}

function otherBreaks(given: Fields, understood: Fields, where: string): string[] {
  const others = Object.keys(understood).filter((keyword) => !structure.has(keyword) && !annotations.has(keyword))
  return others
    .filter((keyword) => !isDeepStrictEqual(given[keyword], understood[keyword]))
    .map((keyword) => `${where} has another ${keyword}`)
}

function propertyBreaks(before: Fields, after: Fields, direction: Direction, at: string): string[] {
  const path = (name: string) => (at === '' ? name : `${at}.${name}`)
  const [olds, news] = [propertiesOf(before), propertiesOf(after)]
  const [wereRequired, areRequired] = [requiredOf(before), requiredOf(after)]
  const breaks: string[] = []
  for (const [name, old] of Object.entries(olds)) {
    const now = Object.hasOwn(news, name) ? news[name] : undefined
    if (now !== undefined) breaks.push(...schemaBreaks(old, now, direction, path(name)))
    else
      breaks.push(
        renamed(
          path(name),
          old,
          Object.entries(news).filter(([other]) => !Object.hasOwn(olds, other)),
        ),
      )
  }
  if (direction === 'input')
    breaks.push(...areRequired.filter((name) => !wereRequired.includes(name)).map((name) => `${path(name)} must be there now`))
  else {
    const missing = wereRequired.filter((name) => !areRequired.includes(name) && Object.hasOwn(news, name))
    breaks.push(...missing.map((name) => `${path(name)} may be missing now`))
  }
  const [wasOpen, isOpen] = [before.additionalProperties ?? true, after.additionalProperties ?? true]
  if (isObject(wasOpen) && isOpen !== false) breaks.push(...schemaBreaks(wasOpen, isOpen as Schema, direction, path('<name>')))
  else if (direction === 'input' && wasOpen !== false && (isOpen === false || isObject(isOpen)))
    breaks.push(`${at || 'it'} takes no other fields any more`)
  return breaks
}

function itemBreaks(before: Fields, after: Fields, direction: Direction, at: string): string[] {
  const { items: old } = before
  const { items: now } = after
  if (isDeepStrictEqual(old, now)) return []
  if (Array.isArray(old) || Array.isArray(now)) return [`${at || 'it'} has other items`]
  return schemaBreaks((old ?? true) as Schema, (now ?? true) as Schema, direction, `${at}[]`)
}

/** What became of something that is gone: the only newcomer of the same shape may be it. */
export function renamed<S>(name: string, shape: S, newcomers: ReadonlyArray<readonly [string, S]>): string {
  const alike = newcomers.filter(([, other]) => isDeepStrictEqual(plain(other), plain(shape)))
  return `${name} is gone${alike.length === 1 ? ` (renamed to ${alike[0]?.[0]}?)` : ''}`
}

/** Without what people read. */
export function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      annotations.has(key) && typeof item === 'string' ? [] : [[key, plain(item)]],
    ),
  )
}

/** Whether a value fits, as far as types and lengths go; false where that is not known. */
function takes(fields: Fields, value: unknown): boolean {
  const size = typeof value === 'string' ? value.length : value
  const isWithin: Readonly<Record<string, (limit: never) => boolean>> = {
    type: (type: string) => typesOf(value).includes(type),
    minLength: (limit: number) => Number(size) >= limit,
    maxLength: (limit: number) => Number(size) <= limit,
    minimum: (limit: number) => Number(size) >= limit,
    maximum: (limit: number) => Number(size) <= limit,
  }
  return Object.entries(fields).every(([keyword, limit]) => annotations.has(keyword) || isWithin[keyword]?.(limit as never))
}

function typesOf(value: unknown): string[] {
  if (value === null) return ['null']
  if (Array.isArray(value)) return ['array']
  return Number.isInteger(value) ? ['integer', 'number'] : [typeof value]
}

function name(fields: Fields): string {
  return 'const' in fields ? JSON.stringify(fields.const) : String(fields.type ?? 'anything')
}
