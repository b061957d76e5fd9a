import { isObject, propertiesOf, requiredOf, type Schema } from './schema.ts'

const maxDepth = 6
const maxFields = 12

/** A call of a command with socket.io-client, to copy: every field that must be there, `…` where a text is wanted. */
export function exampleCall(name: string, payload: Schema | undefined): string {
  const value = payload === undefined ? undefined : exampleOf(payload, 0)
  return `await socket.emitWithAck(${[quote(name), ...(value === undefined ? [] : [value])].join(', ')})`
}

/** JavaScript for a value that fits, as far as types go: patterns and the like are the caller's. */
function exampleOf(schema: Schema, depth: number): string {
  if (!isObject(schema) || depth > maxDepth) return 'null'
  const given = [schema.const, schema.default, ...(Array.isArray(schema.enum) ? schema.enum : [])].find(
    (value) => value !== undefined,
  )
  if (given !== undefined) return literal(given)
  const [alternative] = (schema.anyOf ?? schema.oneOf ?? schema.allOf ?? []) as Schema[]
  if (alternative !== undefined) return exampleOf(alternative, depth + 1)
  const [type] = [schema.type].flat()
  if (type === 'string') return "'…'"
  if (type === 'boolean') return 'true'
  if (type === 'number' || type === 'integer') return literal(schema.minimum ?? 0)
  if (type === 'array')
    return Number(schema.minItems ?? 0) > 0 && isObject(schema.items) ? `[${exampleOf(schema.items, depth + 1)}]` : '[]'
  if (type !== 'object') return 'null'
  const properties = propertiesOf(schema)
  const fields = requiredOf(schema)
    .filter((name) => Object.hasOwn(properties, name))
    .slice(0, maxFields)
    .map((name) => `${/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name)}: ${exampleOf(properties[name] as Schema, depth + 1)}`)
  return fields.length > 0 ? `{ ${fields.join(', ')} }` : '{}'
}

function literal(value: unknown): string {
  return typeof value === 'string' ? quote(value) : JSON.stringify(value)
}

function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}
