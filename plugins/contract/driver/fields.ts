import { isObject, propertiesOf, requiredOf, type Schema } from './schema.ts'

/** A row of the table that explains a value. */
export interface Field {
  /** Such as `disk[].size`; empty for the value itself. */
  readonly path: string
  readonly type: string
  readonly required: boolean
  readonly limits: readonly string[]
  readonly description: string | undefined
}

const maxFields = 200
const maxDepth = 8
const maxChoices = 24
const maxText = 500

/** What a schema without references says, a row for each field. `more` if not all are there. */
export function fieldsOf(schema: Schema): { fields: readonly Field[]; more: boolean } {
  const fields: Field[] = []
  let more = false
  const visit = (schema: Schema, path: string, required: boolean, depth: number): void => {
    if (fields.length >= maxFields || depth > maxDepth) {
      more = true
      return
    }
    const { limits, description } = notes(schema)
    // The table's heading tells the type of the whole.
    const hasMore = description !== undefined || limits.length > 0
    if (path !== '' || (hasMore && typeOf(schema) !== 'object'))
      fields.push({ path, type: typeOf(schema), required, limits, description })
    for (const [below, child, isRequired] of children(schema))
      visit(child, `${path}${path && !below.startsWith('[') ? '.' : ''}${below}`, isRequired, depth + 1)
  }
  visit(schema, '', true, 0)
  return { fields, more }
}

/** Those that tell more than their parent's type does. */
function children(schema: Schema): Array<readonly [string, Schema, boolean]> {
  if (!isObject(schema)) return []
  const required = new Set(requiredOf(schema))
  const own = Object.entries(propertiesOf(schema)).map(([name, child]) => [name, child, required.has(name)] as const)
  const values = isObject(schema.additionalProperties) ? [['<name>', schema.additionalProperties, false] as const] : []
  const patterns = isObject(schema.patternProperties) ? Object.entries(schema.patternProperties as Record<string, Schema>) : []
  const matching = patterns.map(([pattern, child]) => [`/${pattern}/`, child, false] as const)
  const items = isObject(schema.items)
    ? children(schema.items).map(([name, child, is]) => [`[].${name}`, child, is] as const)
    : []
  return [...own, ...values, ...matching, ...items, ...alternatives(schema).flatMap(children)]
}

function alternatives(schema: Schema): Schema[] {
  if (!isObject(schema)) return []
  return ['anyOf', 'oneOf', 'allOf'].flatMap((keyword) => (Array.isArray(schema[keyword]) ? (schema[keyword] as Schema[]) : []))
}

/** A type as a person writes it, such as `number | null` or `"on" | "off"`. */
export function typeOf(schema: Schema): string {
  return cut(describe(schema, 0))
}

function describe(schema: Schema, depth: number): string {
  if (!isObject(schema)) return schema ? 'anything' : 'nothing'
  if (depth > maxDepth) return '…'
  if ('const' in schema) return JSON.stringify(schema.const)
  if (Array.isArray(schema.enum)) return choices(schema.enum.map((value) => JSON.stringify(value)))
  const { allOf, items, type } = schema
  const choice = Array.isArray(allOf) ? allOf : alternatives(schema)
  if (choice.length > 0) {
    const types = [...new Set((choice as Schema[]).map((one) => describe(one, depth + 1)))]
    return Array.isArray(allOf) ? types.join(' & ') : choices(types)
  }
  if (type === 'array' && Array.isArray(items))
    return `[${(items as Schema[]).map((item) => describe(item, depth + 1)).join(', ')}]`
  if (type === 'array') {
    const item = describe(items === undefined ? true : (items as Schema), depth + 1)
    return /[ &|]/.test(item) ? `(${item})[]` : `${item}[]`
  }
  return Array.isArray(type) ? choices(type.map(String)) : String(type ?? ('properties' in schema ? 'object' : 'anything'))
}

function choices(types: readonly string[]): string {
  const shown = types.slice(0, maxChoices).join(' | ')
  return types.length > maxChoices ? `${shown} | … (${types.length} in all)` : shown
}

/** Limits that come in pairs, with what they count. */
const ranges = [
  ['minLength', 'maxLength', ' characters'],
  ['minItems', 'maxItems', ' items'],
  ['minProperties', 'maxProperties', ' fields'],
  ['minimum', 'maximum', ''],
] as const
/** Others, each with the words before its value. */
const others = {
  exclusiveMinimum: 'more than ',
  exclusiveMaximum: 'less than ',
  multipleOf: 'a multiple of ',
  pattern: 'matches ',
  default: 'default ',
}

function notes(schema: Schema): Pick<Field, 'limits' | 'description'> {
  if (!isObject(schema)) return { limits: [], description: undefined }
  const said: string[] = []
  for (const [least, most, what] of ranges) {
    const [low, high] = [schema[least], schema[most]]
    if (low !== undefined && high !== undefined)
      said.push(low === high ? `${String(low)}${what}` : `${String(low)} to ${String(high)}${what}`)
    else if (low !== undefined) said.push(`at least ${String(low)}${what}`)
    else if (high !== undefined) said.push(`at most ${String(high)}${what}`)
  }
  for (const [keyword, words] of Object.entries(others)) {
    const value = schema[keyword]
    if (value !== undefined) said.push(cut(`${words}${keyword === 'pattern' ? String(value) : JSON.stringify(value)}`))
  }
  if (schema.uniqueItems === true) said.push('no item twice')
  if (schema.additionalProperties === false) said.push('no other fields')
  const { description } = schema
  return { limits: said, description: description === undefined ? undefined : cut(String(description)) }
}

function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText)}…` : text
}
