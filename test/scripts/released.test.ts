import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import type { Contract } from '../../core/plugin/contract.ts'
import { coreContract } from '../../core/wire/core-contract.ts'
import { asyncApi } from '../../plugins/contract/driver/document.ts'
import type { Schema } from '../../plugins/contract/driver/schema.ts'
import { type Changes, type Document, documentChanges } from '../../scripts/checks/released/document-break.ts'
import { schemaBreaks } from '../../scripts/checks/released/schema-break.ts'

const documentOf = (contract: Omit<Contract, 'id'>, core: typeof coreContract | object = coreContract) =>
  asyncApi(
    [
      {
        id: 'lamp',
        state: 'running',
        version: '1',
        builtin: true,
        namespace: '/',
        policy: 'patchbay',
        contract: { id: 'lamp', ...contract },
      },
    ],
    core as typeof coreContract,
    '1.0.0',
  ) as unknown as Document
const changes = (before: Omit<Contract, 'id'>, after: Omit<Contract, 'id'>): Changes =>
  documentChanges(documentOf(before), documentOf(after))
const none: Changes = { breaks: [], notices: [] }

type Properties = Readonly<Record<string, object>>
const object = (properties: Properties, required: string[] = [], closed = false) => ({
  type: 'object',
  properties,
  required,
  ...(closed && { additionalProperties: false }),
})
const text = { type: 'string' }
const number = { type: 'number' }

/** Schemas of which the second takes less than the first, with what is said as input, and as output in the other direction. */
const narrowings: ReadonlyArray<readonly [Schema, Schema, string, string]> = [
  [number, { type: 'integer' }, 'it was number and is integer', 'it was integer and is number'],
  [{}, text, 'it was anything and is string', 'it was string and is anything'],
  [text, { const: 'a' }, 'it was string and is "a"', 'it was "a" and is string'],
  [{ enum: ['a', 'b'] }, { enum: ['a'] }, 'it no longer takes "b"', 'it may now be "b"'],
  [{ enum: ['a', 'b'] }, { const: 'a' }, 'it no longer takes "b"', 'it may now be "b"'],
  [text, { enum: ['a', 'b'] }, 'it no longer takes string', 'it may now be string'],
  [{ type: ['string', 'null'] }, text, 'it no longer takes null', 'it may now be null'],
  [{ anyOf: [text, { type: 'null' }] }, text, 'it no longer takes null', 'it may now be null'],
  [
    { anyOf: [text, number] },
    { anyOf: [number, { ...text, maxLength: 3 }] },
    'it had maxLength none and has 3',
    'it had maxLength 3 and has none',
  ],
  [{ ...text, maxLength: 9 }, { ...text, maxLength: 8 }, 'it had maxLength 9 and has 8', 'it had maxLength 8 and has 9'],
  [text, { ...text, minLength: 1 }, 'it had minLength none and has 1', 'it had minLength 1 and has none'],
  [number, { ...number, minimum: 0 }, 'it had minimum none and has 0', 'it had minimum 0 and has none'],
  [{ ...number, maximum: 10 }, { ...number, maximum: 9 }, 'it had maximum 10 and has 9', 'it had maximum 9 and has 10'],
  [text, { ...text, pattern: '^a' }, 'it has another pattern', 'it has another pattern'],
  [
    { type: 'array', items: text },
    { type: 'array', items: { const: 'a' } },
    '[] was string and is "a"',
    '[] was "a" and is string',
  ],
  [{ type: 'array' }, { type: 'array', items: text }, '[] was anything and is string', '[] was string and is anything'],
  [
    object({ a: object({ b: text }) }),
    object({ a: object({ b: { const: 'b' } }) }),
    'a.b was string and is "b"',
    'a.b was "b" and is string',
  ],
  [object({ a: text }), object({ a: text }, ['a']), 'a must be there now', 'a may be missing now'],
  [
    { type: 'object', additionalProperties: number },
    { type: 'object', additionalProperties: { type: 'integer' } },
    '<name> was number and is integer',
    '<name> was integer and is number',
  ],
]

void t.test(
  'an input that takes less breaks, one that takes more does not; with an output it is the other way round',
  async (t) => {
    for (const [wide, narrow, asInput, asOutput] of narrowings) {
      const what = `${JSON.stringify(wide)} and ${JSON.stringify(narrow)}`
      t.same(schemaBreaks(wide, narrow, 'input'), [asInput], `input narrowed: ${what}`)
      t.same(schemaBreaks(narrow, wide, 'input'), [], `input widened: ${what}`)
      t.same(schemaBreaks(narrow, wide, 'output'), [asOutput], `output widened: ${what}`)
      t.same(schemaBreaks(wide, narrow, 'output'), [], `output narrowed: ${what}`)
    }
  },
)

void t.test('fields may be added, and go or are renamed with notice', async (t) => {
  const [less, more] = [object({ a: text }, ['a']), object({ a: text, b: number }, ['a'])]
  for (const direction of ['input', 'output'] as const) {
    t.same(schemaBreaks(less, more, direction), [])
    t.same(schemaBreaks(more, less, direction), ['b is gone'])
    const renamed = object({ a: text, c: { ...number, description: 'The same, better told.' } }, ['a'])
    t.same(schemaBreaks(more, renamed, direction), ['b is gone (renamed to c?)'])
    const unclear = object({ a: text, c: number, d: number }, ['a'])
    t.same(schemaBreaks(more, unclear, direction), ['b is gone'])
    t.same(schemaBreaks(text, number, direction), ['it was string and is number'])
    t.same(schemaBreaks({ type: 'array', items: [text] }, { type: 'array', items: [number] }, direction), ['it has other items'])
    const told = { ...less, title: 'A', description: 'Another.', examples: [{ a: '1' }], default: {} }
    t.same(schemaBreaks(less, told, direction), [], 'words are free')
  }
  t.same(schemaBreaks(less, object({ a: text }, ['a'], true), 'input'), ['it takes no other fields any more'])
  t.same(schemaBreaks(object({ a: text }, ['a'], true), less, 'input'), [])
  t.same(schemaBreaks(object({ a: text }, ['a'], true), object({ a: text, b: text }, ['a'], true), 'output'), [])
  t.same(schemaBreaks(object({ a: text }), object({ a: text, b: text }, ['b']), 'input'), ['b must be there now'])
  t.same(schemaBreaks({ enum: ['aa', 'b'] }, { ...text, maxLength: 2 }, 'input'), [], 'from choices to free text')
  t.same(schemaBreaks({ enum: ['aa', 'b'] }, { ...text, maxLength: 1 }, 'input'), ['it no longer takes "aa"'])
  t.same(schemaBreaks({ const: 5 }, { type: 'integer', minimum: 6 }, 'input'), ['it was 5 and is integer'])
})

void t.test('what is gone, renamed or something else is told by its name', async (t) => {
  const before = {
    commands: { 'lamp:set': { payload: object({ on: { type: 'boolean' } }) }, 'lamp:off': {} },
    events: { 'lamp:state': {} },
  }
  t.same(changes(before, before), none)
  t.same(
    changes(before, {
      ...before,
      commands: { ...before.commands, 'lamp:on': {} },
      events: { 'lamp:state': {}, 'lamp:heat': {} },
    }),
    none,
  )
  t.same(changes(before, { ...before, events: {} }).breaks, ['lamp:state is gone'])
  const renamed = { ...before, commands: { 'lamp:put': before.commands['lamp:set'], 'lamp:off': {} } }
  t.same(changes(before, renamed).breaks, ['lamp:set is gone (renamed to lamp:put?)'])
  const turned = { commands: { ...before.commands, 'lamp:state': {} } }
  t.same(changes(before, turned).breaks, ['lamp:state is a command now'])
  t.same(documentChanges(documentOf(before), asyncApi([], coreContract, '2') as unknown as Document).breaks, [
    ...['module:subscribe is gone', 'module:unsubscribe is gone', 'auth:success is gone', 'error is gone'],
    ...['the module lamp is gone', 'the namespace main is gone'],
  ])
})

void t.test('roles, routes, codes, retained values and whom an event reaches are held too', async (t) => {
  type Parts = Omit<Contract, 'id'>
  const cases: ReadonlyArray<readonly [Parts, Parts, string]> = [
    [
      { commands: { 'lamp:set': { role: 'operator' } } },
      { commands: { 'lamp:set': {} } },
      'lamp:set asks for the role owner, not operator',
    ],
    [{}, { subscribeRole: 'operator' }, 'subscribing to lamp asks for the role operator, not viewer'],
    [{ errors: { LAMP_STUCK: 'It is stuck.' } }, {}, 'the error code LAMP_STUCK of lamp is gone'],
    [{ events: { 'lamp:state': { retained: true } } }, { events: { 'lamp:state': {} } }, 'lamp:state is retained no more'],
    [
      { events: { 'lamp:state': { to: 'connected' } } },
      { events: { 'lamp:state': {} } },
      'lamp:state goes to subscribers, not connected',
    ],
    [{ routes: { 'GET /': {} } }, {}, 'the route GET / of lamp is gone'],
    [
      { routes: { 'GET /': { role: 'viewer' } } },
      { routes: { 'GET /': {} } },
      'the route GET / of lamp asks for the role owner, not viewer',
    ],
    [
      { routes: { 'GET /': { token: true } } },
      { routes: { 'GET /': {} } },
      'the route GET / of lamp takes no token of its own any more',
    ],
    [{ namespaces: { media: { events: {} } } }, {}, 'the namespace .media is gone'],
  ]
  for (const [before, after, sentence] of cases) {
    const { breaks } = changes(before, after)
    t.equal(breaks.at(-1), sentence)
    t.same(changes(after, before), none, `not the other way round: ${sentence}`)
  }
  const fewer = { ...coreContract, errors: { FORBIDDEN: 'No.' } }
  t.ok(documentChanges(documentOf({}), documentOf({}, fewer)).breaks.includes('the error code TIMEOUT of the core is gone'))
})

void t.test('payloads and results that come or go', async (t) => {
  const command = (payload?: object, result?: object) => ({
    commands: { 'lamp:set': { ...(payload && { payload }), ...(result && { result }) } },
  })
  t.same(changes(command(), command(object({}))).breaks, ['the payload of lamp:set: it was null and is object'])
  t.same(changes(command(), command({ anyOf: [{ type: 'null' }, object({})] })), none)
  t.same(changes(command(text), command()).breaks, ['the payload of lamp:set is gone'])
  t.same(changes(command(), command(undefined, object({ was: text }, ['was']))), none)
  t.same(changes(command(undefined, object({ was: text }, ['was'])), command()).breaks, ['the result of lamp:set: was is gone'])
  const referring = { $defs: { on: { type: 'boolean' } }, ...object({ on: { $ref: '#/$defs/on' } }) }
  t.same(changes(command(referring), command(object({ on: { type: 'boolean' } }))), none, 'a definition is what it stands for')
  t.same(changes(command(referring), command(object({ on: text }))).breaks, [
    'the payload of lamp:set: on was boolean and is string',
  ])
  t.same(changes({ events: { 'lamp:state': { payload: text } } }, { events: { 'lamp:state': {} } }).breaks, [
    'lamp:state is gone',
  ])
})

void t.test('tighter limits are only worth a notice', async (t) => {
  const limits = (max: number, windowMs: number, timeoutMs: number, inFlight: number) => ({
    commands: { 'lamp:set': { rate: { max, windowMs }, timeoutMs, inFlight } },
  })
  t.same(changes(limits(10, 1000, 5000, 4), limits(10, 2000, 4000, 3)), {
    breaks: [],
    notices: [
      'lamp:set may be given 10 times in 2000 ms, not 10 in 1000 ms',
      'lamp:set is answered TIMEOUT after ms: 4000, not 5000',
      'lamp:set may be unanswered at a time: 3, not 4',
    ],
  })
  t.same(changes(limits(10, 1000, 5000, 4), limits(20, 1000, 6000, 5)), none)
})

void t.test(
  'the check names what the plugins of today break, unless the major version says so; and accepts a release',
  async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'patchbay-released-'))
    t.teardown(() => rm(dir, { recursive: true, force: true }))
    const file = join(dir, 'released.json')
    const check = (...args: string[]) => {
      const script = fileURLToPath(new URL('../../scripts/checks/released.mjs', import.meta.url))
      const all = ['-u', 'NODE_OPTIONS', process.execPath, script, ...args, file]
      return promisify(execFile)('env', all).catch((error: { code: number; stdout: string }) => error)
    }
    t.match(await check('--accept'), { stdout: `${file} is the document of today.\n` })
    t.match(await check(), { stdout: 'Nothing that a client of the last release would notice.\n' })

    const kept = JSON.parse(await readFile(file, 'utf8')) as Document
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
    t.equal(kept.info.version, version)
    const doctored = {
      ...kept,
      operations: { ...kept.operations, 'host:gone': kept.operations['host:enable'] },
    }
    await writeFile(file, JSON.stringify(doctored))
    const advice = `A client of ${version} would notice. Undo it, or raise the major version in package.json.`
    t.match(await check(), { code: 1, stdout: `host:gone is gone\n${advice}\n` })
    const major = Number.parseInt(version, 10)
    await writeFile(file, JSON.stringify({ ...doctored, info: { ...kept.info, version: `${major - 1}.9.0` } }))
    t.match(await check(), { stdout: /^note: host:gone is gone\nNothing/ })
  },
)
