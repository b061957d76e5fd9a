import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'

/** Ends comments, strings, tags and attributes of whatever it is put into. */
export const breakout = `*/ "; '; \`; \${1} </script></style></title><script>globalThis.owned = 1</script><img src=x onerror="owned=1"> \\`

/** A contract that the host takes, and that means no good. */
export const hostile = JSON.parse(`{
  "id": "hostile",
  "description": ${JSON.stringify(breakout)},
  "commands": {
    "hostile:toString": {
      "description": ${JSON.stringify(breakout)},
      "payload": {
        "title": ${JSON.stringify(breakout)},
        "description": ${JSON.stringify(`${breakout}\n */\nexport const owned = 1`)},
        "type": "object",
        "$defs": { "valueOf": { "type": "object", "title": "Failure", "properties": { "toString": { "type": "integer" } } } },
        "properties": {
          ${JSON.stringify(breakout)}: { "$ref": "#/$defs/valueOf", "description": ${JSON.stringify(breakout)} },
          "$ref": { "type": "string" },
          "tsType": { "type": "string" },
          "far": { "type": "object", "default": { "$ref": "http://127.0.0.1:9/far" }, "examples": [{ "a": { "$ref": "file:///etc/hostname" } }] },
          "fixed": { "const": { "$ref": "http://127.0.0.1:9/far" } },
          "choice": { "anyOf": [{ "type": "null" }, { "type": "array", "items": { "type": ["string", "number"] }, "minItems": 1, "maxItems": 3 }] },
          "words": { "enum": [${JSON.stringify(breakout)}, "", 1, null, { "a": [] }] },
          "none": false
        },
        "required": ["choice"],
        "additionalProperties": false
      },
      "result": {
        "$defs": { "yes": { "type": "object", "properties": { "success": { "type": "string" }, "yes": { "type": "boolean" } }, "required": ["yes"], "additionalProperties": false } },
        "anyOf": [{ "$ref": "#/$defs/yes" }, { "type": "object", "properties": { "no": { "type": "boolean" } }, "additionalProperties": false }]
      },
      "role": "viewer"
    },
    "hostile:same": {}
  },
  "events": {
    "hostile:same": { "payload": { "type": "array", "items": [{ "type": "string" }, { "type": "number" }], "additionalItems": false } },
    "hostile:map": { "payload": { "type": "object", "additionalProperties": { "type": "number" } }, "retained": true },
    "hostile:any": { "payload": {}, "to": "connected" }
  },
  "namespaces": {
    "media": { "commands": { "hostile:same": { "payload": { "type": "string" } } }, "events": { "hostile:frame": { "payload": { "type": "string" } } } },
    "media/deep-er": { "events": { "hostile:frame": {} } }
  },
  "routes": { "GET /secret": { "description": ${JSON.stringify(breakout)} } },
  "settings": { "type": "object", "properties": { "password": { "type": "string", "default": "hunter2-default" } } },
  "errors": { "HOSTILE_CODE": ${JSON.stringify(breakout)} }
}`) as Contract

/** A contract whose schemas have no more than the structure of some: what the host looks at before a plugin is switched on. */
export const odd = {
  id: 'odd',
  commands: {
    'odd:set': {
      payload: {
        ...{ type: 'thing', title: 5, description: { a: 1 }, required: 'x', enum: 5, minLength: -1, maximum: '9', multipleOf: 0 },
        properties: { a: { type: ['string', 'string'], enum: [], uniqueItems: 0, examples: 3 }, b: { required: [1], items: [] } },
      },
      result: { type: 'array', required: [] },
    },
  },
  events: { 'odd:state': { payload: { type: { of: 'object' }, const: null } } },
} as unknown as Contract

/** Writes the hostile one as a plugin package, and returns its directory. */
export async function hostilePackage(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-hostile-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const start = `
    ctx.handle('hostile:toString', () => ({ no: true }))
    ctx.handle('hostile:same', () => undefined)
    ctx.namespace('media').handle('hostile:same', () => undefined)
    ctx.serve('GET /secret', () => ({ type: 'text/plain', body: 'secret' }))`
  await writePackage(dir, hostile, start)
  return dir
}

export async function writePackage(dir: string, contract: Contract, start = ''): Promise<void> {
  const patchbay = { api: 1, contract: './contract.json' }
  const manifest = { name: contract.id, version: '6.6.6-<script>', type: 'module', main: './index.js', patchbay }
  const code = `import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(contract, { start(ctx) {${start}} })
`
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'contract.json'), JSON.stringify(contract))
  await writeFile(join(dir, 'index.js'), code)
  await writeFile(join(dir, 'README.md'), `# ${contract.id}\n`)
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
}
