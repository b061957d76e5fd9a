import { isObject, rebuild, type Schema } from '../../../plugins/contract/driver/schema.ts'

type Compiler = typeof import('json-schema-to-typescript')['compile']

const options: Parameters<Compiler>[2] = {
  format: false,
  bannerComment: '',
  // A type tells the fields that are known; what else there may be is nothing to rely on.
  additionalProperties: false,
  ignoreMinAndMaxItems: true,
  // Nothing is ever fetched or read for a schema.
  $refOptions: { resolve: { external: false } },
}

/** Keywords with no bearing on a type, some of which would give parts of it names of their own or say themselves in comments. */
const withoutBearing = new Set(['title', 'default', 'examples', 'minItems', 'maxItems'])

/** Declares a type of this name for a schema without references. The name has letters and digits alone, capitals after digits. */
export async function declaration(name: string, schema: Schema): Promise<string> {
  if (!isObject(schema) || Object.keys(schema).length === 0) return `export type ${name} = ${schema ? 'unknown' : 'never'}`
  const { compile } = await import('json-schema-to-typescript')
  const plain = rebuild(schema, { refer: () => true, without: withoutBearing })
  const text = await compile(plain as object, name, options)
  return indented(text.trim())
}

/** The compiler leaves the lines unindented. */
function indented(text: string): string {
  let depth = 0
  const lines = text.split('\n').map((line) => {
    const isComment = /^(\/\*\*| \*)/.test(line)
    if (!isComment && /^[)}\]]/.test(line)) depth = Math.max(0, depth - 1)
    const result = `${'  '.repeat(depth)}${line}`
    if (!isComment && /[({[]$/.test(line)) depth++
    return result
  })
  return lines.join('\n')
}
