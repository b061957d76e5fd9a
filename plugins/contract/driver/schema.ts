import { holders, makesSense } from './keywords.ts'

/** A JSON Schema as contracts have it: `$ref` names only definitions of the same schema, and none refers to itself. */
export type Schema = boolean | { readonly [keyword: string]: unknown }

const annotations = new Set(['title', 'description', 'default', 'examples'])

interface Rules {
  refer(name: string): Schema
  /** Keywords to leave out. */
  readonly without?: ReadonlySet<string>
}

/**
 * Copies a schema with every `$ref` replaced by what `refer` makes of the definition's name. Leaves out definitions, and
 * keywords that contracts do not have or whose value makes no sense or holds a `$ref` of its own.
 */
export function rebuild(schema: unknown, rules: Rules): Schema {
  if (!isObject(schema)) return schema !== false
  const copied = Object.entries(schema).flatMap(([keyword, value]) => {
    if (rules.without?.has(keyword)) return []
    const copy = holders.has(keyword) ? copyOf(keyword, value, rules) : makesSense(keyword, value) ? value : undefined
    return copy === undefined ? [] : [[keyword, copy] as const]
  })
  const rest: Record<string, unknown> = Object.fromEntries(copied)
  const [, name] = /^#\/\$defs\/(.+)$/.exec(String(schema.$ref)) ?? []
  if (name === undefined) return rest
  const referred = rules.refer(name)
  if (Object.keys(rest).length === 0) return referred
  if (isObject(referred) && !('$ref' in referred) && Object.keys(rest).every((keyword) => annotations.has(keyword)))
    return { ...referred, ...rest }
  return { ...rest, allOf: [referred, ...(Array.isArray(rest.allOf) ? (rest.allOf as Schema[]) : [])] }
}

function copyOf(keyword: string, value: unknown, rules: Rules): unknown {
  const kind = holders.get(keyword)
  if (kind === 'named') return isObject(value) ? namedCopies(value, rules) : undefined
  if (kind === 'schema' || !Array.isArray(value)) return kind === 'schemas' ? undefined : rebuild(value, rules)
  return value.length > 0 ? value.map((item) => rebuild(item, rules)) : undefined
}

/** Without a property called `$ref`: readers of documents, the official one too, take its schema for a reference. */
function namedCopies(schemas: object, rules: Rules): object {
  const kept = Object.entries(schemas).filter(([name]) => name !== '$ref')
  return Object.fromEntries(kept.map(([name, item]) => [name, rebuild(item, rules)]))
}

/** A schema's definitions, by name. */
function definitionsOf(schema: unknown): ReadonlyMap<string, unknown> {
  return new Map(isObject(schema) && isObject(schema.$defs) ? Object.entries(schema.$defs) : [])
}

/** Characters that definitions may add to a schema that is shown in one piece. */
const maxExpansion = 256 * 1024

/** The schema in one piece: every `$ref` is replaced by what it refers to. One that would become huge is cut. */
export function expand(schema: unknown): Schema {
  const definitions = definitionsOf(schema)
  let size = 0
  const refer = (name: string): Schema => {
    const definition = definitions.get(name)
    size += JSON.stringify(definition ?? null).length
    return size > maxExpansion ? { description: '(Too large to be shown.)' } : rebuild(definition, { refer })
  }
  return rebuild(schema, { refer })
}

/** The schema as part of a larger document, at this JSON pointer in it. Always an object, as AsyncAPI wants it. */
export function embed(schema: unknown, pointer: string): Schema & object {
  const refer = (name: string): Schema => ({ $ref: `#${pointer}/definitions/${name}` })
  const whole = rebuild(schema, { refer })
  if (!isObject(whole)) return whole ? {} : { not: {} }
  const definitions = [...definitionsOf(schema)].map(([name, definition]) => [name, rebuild(definition, { refer })])
  return definitions.length > 0 ? { ...whole, definitions: Object.fromEntries(definitions) } : whole
}

/** The same objects with `success: true` in them. */
export function withSuccess(result: Schema): Schema {
  if (!isObject(result)) return withSuccess({})
  const members = ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) => {
    const schemas = result[keyword]
    return Array.isArray(schemas) ? [[keyword, (schemas as Schema[]).map(withSuccess)]] : []
  })
  return {
    ...result,
    ...Object.fromEntries(members),
    type: 'object',
    properties: { ...propertiesOf(result), success: { const: true } },
    required: [...requiredOf(result).filter((name) => name !== 'success'), 'success'],
  }
}

export function propertiesOf(schema: Schema): Readonly<Record<string, Schema>> {
  return isObject(schema) && isObject(schema.properties) ? (schema.properties as Record<string, Schema>) : {}
}

export function requiredOf(schema: Schema): readonly string[] {
  return isObject(schema) && Array.isArray(schema.required) ? (schema.required as string[]) : []
}

export function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
