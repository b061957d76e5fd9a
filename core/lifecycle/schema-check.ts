import { asObject, below, type Check, must } from './checks.ts'
import { checkPattern } from './pattern-check.ts'

const maxBytes = 64 * 1024
const maxNodes = 2000
const maxDepth = 32
/** Comparing the items of a list with each other takes time in the square of their number. */
const maxUnique = 256

/** The keywords by what they hold: those that ajv's default dialect checks, but none that reach beyond the schema. */
const byContent = {
  plain: 'type enum const required minItems maxItems uniqueItems minLength maxLength pattern minimum maximum exclusiveMinimum',
  more: 'exclusiveMaximum multipleOf minProperties maxProperties default title description examples $ref',
  schema: 'additionalProperties additionalItems not propertyNames contains if then else',
  schemas: 'anyOf oneOf allOf',
  named: 'properties patternProperties $defs',
  either: 'items',
}
const keywords = new Map(Object.entries(byContent).flatMap(([kind, names]) => names.split(' ').map((name) => [name, kind])))

/** Returns the check for all JSON Schemas of one contract; they share its limits. A `$ref` counts as what it refers to. */
export function schemaCheck(): Check {
  let bytes = 0
  let nodes = 0
  return (root, at) => {
    bytes += JSON.stringify(asObject(root, at)).length
    must(bytes <= maxBytes, at, `be smaller: the schemas of a contract may have ${maxBytes / 1024} kB together`)
    visit(root, at, 0)

    function visit(value: unknown, at: string, depth: number): void {
      if (typeof value === 'boolean') return
      const schema = asObject(value, at)
      const { uniqueItems, maxItems, pattern, maxLength, $ref } = schema
      must(depth <= maxDepth, at, `neither refer to itself nor be nested deeper than ${maxDepth}`)
      must(++nodes <= maxNodes, at, `be smaller: a contract may have ${maxNodes} schemas, each $ref counted as what it refers to`)
      must(
        !uniqueItems || (typeof maxItems === 'number' && maxItems <= maxUnique),
        at,
        `have a maxItems of at most ${maxUnique} beside uniqueItems`,
      )
      if (pattern !== undefined)
        checkPattern(pattern, below(at, 'pattern'), typeof maxLength === 'number' ? maxLength : undefined)
      if ($ref !== undefined) visit(definition($ref, below(at, '$ref')), below(at, '$ref'), depth + 1)
      for (const [key, item] of Object.entries(schema)) visitKeyword(key, item, below(at, key), depth + 1)
    }

    function visitKeyword(key: string, item: unknown, at: string, depth: number): void {
      const kind = keywords.get(key)
      must(kind !== undefined, at, `be left out; known in a schema are ${[...keywords.keys()].join(', ')}`)
      if (kind === 'schemas' || (kind === 'either' && Array.isArray(item))) {
        must(Array.isArray(item), at, 'be a list')
        for (const [index, inner] of item.entries()) visit(inner, below(at, index), depth)
      } else if (kind === 'named')
        for (const [name, inner] of Object.entries(asObject(item, at))) {
          if (key === 'patternProperties') checkPattern(name, below(at, name))
          visit(inner, below(at, name), depth)
        }
      else if (kind === 'schema' || kind === 'either') visit(item, at, depth)
    }

    function definition($ref: unknown, at: string): unknown {
      const [, name = ''] = /^#\/\$defs\/([\w-]+)$/.exec(typeof $ref === 'string' ? $ref : '') ?? []
      const { $defs = {} } = asObject(root, at)
      must(Object.hasOwn(asObject($defs, at), name), at, 'be #/$defs/ and the name of a definition in the same schema')
      return asObject($defs, at)[name]
    }
  }
}
