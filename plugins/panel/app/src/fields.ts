/** A JSON Schema, as much of it as forms and values need. */
export interface Schema {
  readonly type?: string | readonly string[]
  readonly title?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly format?: string
  readonly default?: unknown
  readonly additionalProperties?: unknown
}

/** How a value is asked for. */
export type Field =
  | { readonly is: 'text'; readonly isSecret: boolean; readonly isLong: boolean }
  | { readonly is: 'number'; readonly isWhole: boolean; readonly isSlider: boolean }
  | { readonly is: 'switch' }
  | { readonly is: 'choice'; readonly values: readonly unknown[] }
  | { readonly is: 'group'; readonly fields: ReadonlyArray<readonly [string, Schema, boolean]> }
  | { readonly is: 'json' }

export const asSchema = (value: unknown): Schema => (typeof value === 'object' && value !== null ? (value as Schema) : {})

/** Without the alternative `null`: what may be missing is asked for as what it is. */
export function core(schema: Schema): Schema {
  const others = (schema.anyOf ?? schema.oneOf)?.filter((one) => one.type !== 'null')
  const [only] = others ?? []
  if (only && others?.length === 1)
    return { ...only, ...(schema.description !== undefined && { description: schema.description }) }
  if (!Array.isArray(schema.type)) return schema
  const types = schema.type.filter((one) => one !== 'null')
  return types.length === 1 ? { ...schema, type: types[0] as string } : schema
}

export function fieldOf(name: string, given: Schema): Field {
  const schema = core(given)
  const constants = (schema.anyOf ?? schema.oneOf)?.map((one) => one.const)
  if (schema.enum) return { is: 'choice', values: schema.enum }
  if (constants?.every((value) => value !== undefined)) return { is: 'choice', values: constants }
  if (schema.const !== undefined) return { is: 'choice', values: [schema.const] }
  switch (schema.type) {
    case 'string':
      return {
        is: 'text',
        isSecret: schema.format === 'password' || /passw|secret|token|^pin$/i.test(name),
        isLong: (schema.maxLength ?? 0) > 200,
      }
    case 'integer':
    case 'number': {
      const span = (schema.maximum ?? Number.POSITIVE_INFINITY) - (schema.minimum ?? Number.NEGATIVE_INFINITY)
      return { is: 'number', isWhole: schema.type === 'integer', isSlider: span > 1 && span <= 1000 }
    }
    case 'boolean':
      return { is: 'switch' }
    case 'object': {
      const rows = Object.entries(schema.properties ?? {})
      if (rows.length === 0 && schema.additionalProperties !== false) return { is: 'json' }
      const required = new Set(schema.required)
      return { is: 'group', fields: rows.map(([key, one]) => [key, one, required.has(key)] as const) }
    }
    default:
      return { is: 'json' }
  }
}

/** What a form begins with. Required fields have a value where the schema tells one; the rest is left out. */
export function initial(name: string, given: Schema, isRequired: boolean): unknown {
  const schema = core(given)
  if (schema.default !== undefined) return schema.default
  const field = fieldOf(name, schema)
  if (field.is === 'group')
    return isRequired ? Object.fromEntries(field.fields.map(([key, one, must]) => [key, initial(key, one, must)])) : undefined
  if (!isRequired) return undefined
  if (field.is === 'switch') return false
  if (field.is === 'choice') return field.values[0]
  if (field.is === 'number' && field.isSlider) return schema.minimum
  return undefined
}

/** What is sent: without what was left out. */
export function tidy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, one]) => [key, tidy(one)] as const)
      .filter(([, one]) => one !== undefined),
  )
}

export type Unit =
  | 'bytes'
  | 'bytes per second'
  | 'seconds'
  | 'milliseconds'
  | 'moment'
  | '%'
  | '°C'
  | 'MHz'
  | 'Mbit/s'
  | 'dBm'
  | ''

/** The unit of a number, as its description or its name tells. A wrong guess would be worse than none: only what is plain. */
export function unitOf(name: string, { description = '' }: Schema): Unit {
  if (/milliseconds since the epoch/i.test(description)) return 'moment'
  if (/\bbytes? (per|a) second|bytes\/s/i.test(description)) return 'bytes per second'
  if (/\bbytes\b/i.test(description)) return 'bytes'
  if (/\bmilliseconds\b/i.test(description) || /Ms$/.test(name)) return 'milliseconds'
  if (/\bseconds\b/i.test(description)) return 'seconds'
  if (/\bMHz\b/.test(description)) return 'MHz'
  if (/\bMbit\/s\b/.test(description)) return 'Mbit/s'
  if (/\bdBm\b/.test(description)) return 'dBm'
  if (/degrees celsius|°C/i.test(description)) return '°C'
  if (/\bpercent\b|\b0 to 100\b|%/i.test(description) || /^percent|Percent$/.test(name)) return '%'
  return ''
}

/** `isPoweredOn` and `power_on` as `is powered on` and `power on`. */
function readable(name: string): string {
  return name
    .replace(/^[a-z0-9-]+:/, '')
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replace(/[_-]+/g, ' ')
    .toLowerCase()
}

/** The same as the beginning of a line. */
export const title = (name: string): string => readable(name).replace(/^./, (letter) => letter.toUpperCase())
