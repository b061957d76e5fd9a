const types = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null'])

const isText = (value: unknown) => typeof value === 'string'
const isNumber = (value: unknown) => Number.isFinite(value)
const isCount = (value: unknown) => Number.isInteger(value) && Number(value) >= 0
const isType = (value: unknown) => types.has(value as string)
const isListOf = (value: unknown, fits: (item: unknown) => boolean) =>
  Array.isArray(value) && value.length > 0 && new Set(value).size === value.length && value.every(fits)

/** Whether a keyword without schemas in it has a value that makes sense. The host asks that only before a plugin starts. */
const sense: Readonly<Record<string, (value: unknown) => boolean>> = {
  type: (value) => isType(value) || isListOf(value, isType),
  required: (value) => isListOf(value, isText),
  enum: (value) => isListOf(value, () => true) && !holdsReference(value),
  const: (value) => !holdsReference(value),
  default: (value) => !holdsReference(value),
  examples: (value) => Array.isArray(value) && !holdsReference(value),
  uniqueItems: (value) => typeof value === 'boolean',
  multipleOf: (value) => isNumber(value) && Number(value) > 0,
  ...from('title description pattern', isText),
  ...from('minimum maximum exclusiveMinimum exclusiveMaximum', isNumber),
  ...from('minItems maxItems minLength maxLength minProperties maxProperties', isCount),
}

function from(keywords: string, fits: (value: unknown) => boolean): typeof sense {
  return Object.fromEntries(keywords.split(' ').map((keyword) => [keyword, fits]))
}

/** Values that a reader of a document would take for a reference, and follow to wherever it leads. */
function holdsReference(value: unknown): boolean {
  return typeof value === 'object' && value !== null && ('$ref' in value || Object.values(value).some(holdsReference))
}

export function makesSense(keyword: string, value: unknown): boolean {
  return Object.hasOwn(sense, keyword) && sense[keyword]?.(value) === true
}

type Holding = 'schema' | 'schemas' | 'either' | 'named'

/** The keywords that hold schemas, by how. */
export const holders: ReadonlyMap<string, Holding> = new Map([
  ...of('schema', 'additionalProperties additionalItems not propertyNames contains if then else'),
  ...of('schemas', 'anyOf oneOf allOf'),
  ...of('either', 'items'),
  ...of('named', 'properties patternProperties'),
])

function of(kind: Holding, keywords: string): Array<readonly [string, Holding]> {
  return keywords.split(' ').map((keyword) => [keyword, kind])
}
