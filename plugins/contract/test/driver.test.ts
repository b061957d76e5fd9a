import { Parser } from '@asyncapi/parser'
import t from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { MountedContract } from '../../../core/plugin/host-control.ts'
import { coreContract } from '../../../core/wire/core-contract.ts'
import { Module } from '../../../core/wire/module.ts'
import { asyncApi } from '../driver/document.ts'
import { exampleCall } from '../driver/example.ts'
import { fieldsOf, typeOf } from '../driver/fields.ts'
import { policyOf } from '../driver/groups.ts'
import { html } from '../driver/html.ts'
import { contractPage } from '../driver/page.ts'
import { expand, type Schema, withSuccess } from '../driver/schema.ts'

const mounted = (contract: Contract, namespace = '/'): MountedContract => ({
  id: contract.id,
  state: 'disabled',
  version: '1.0.0',
  builtin: false,
  namespace,
  policy: contract.policy ?? 'patchbay',
  contract,
})
const lamp = mounted({
  id: 'lamp',
  commands: { 'lamp:set': { payload: { type: 'boolean' }, role: 'operator', rate: { max: 3, windowMs: 9000 } }, 'lamp:off': {} },
  events: { 'lamp:state': { payload: { type: 'boolean' }, retained: true } },
  errors: { LAMP_STUCK: 'It is stuck.', LAMP_GONE: 'It is gone.' },
})
const door = mounted({ id: 'door', policy: 'keys', commands: { open: {} }, events: { open: { to: 'connected' } } }, '/Front_door')
const sorted = (object: unknown) => Object.keys(object as object)

void t.test('the same contracts give the same document in whatever order they come', async (t) => {
  const reversed = mounted({
    ...lamp.contract,
    commands: Object.fromEntries(Object.entries(lamp.contract.commands ?? {}).reverse()),
  })
  const [one, other] = [asyncApi([lamp, door], coreContract, '1.0.0'), asyncApi([door, reversed], coreContract, '1.0.0')]
  t.equal(JSON.stringify(one), JSON.stringify(other))
  t.same(sorted(one.channels), ['main', '.Front_door'])
  t.same(sorted((one.info as Record<string, object>)['x-patchbay-modules']), ['door', 'lamp'])
})

void t.test('a namespace of another policy has nothing of the core, and an event may be called as a command', async (t) => {
  const document = asyncApi([lamp, door], coreContract, '1.0.0')
  t.same(sorted(document.operations), [
    ...['lamp:off', 'lamp:set', 'module:subscribe', 'module:unsubscribe', 'auth:success', 'error', 'lamp:state'],
    ...['.Front_door.open', '.Front_door.open.event'],
  ])
  t.match(document.channels, { '.Front_door': { address: '/Front_door', 'x-patchbay-policy': 'keys' } })
  const { diagnostics } = await new Parser().parse(JSON.stringify(document))
  t.same(
    diagnostics.filter(({ severity }) => severity === 0),
    [],
  )
})

void t.test('an operation tells its policy, and what nobody said is what the host does', async (t) => {
  const document = asyncApi([lamp], coreContract, '1.0.0')
  t.match(document.operations, {
    'lamp:set': {
      action: 'receive',
      'x-patchbay-module': 'lamp',
      'x-patchbay-role': 'operator',
      'x-patchbay-rate': { max: 3, windowMs: 9000 },
      reply: { messages: [{ $ref: '#/channels/main/messages/lamp:set.ack' }] },
    },
    'lamp:state': { action: 'send', 'x-patchbay-retained': true, 'x-patchbay-to': 'subscribers' },
    error: { 'x-patchbay-to': 'addressed' },
  })
  const host = new Module(lamp.contract, '/').groups.get('')?.commands.get('lamp:off')
  const { rate, timeoutMs, inFlight, role } = policyOf({ name: 'lamp:off', mounted: lamp, definition: {} })
  t.same(
    { rate, timeoutMs, inFlight, role },
    { rate: host?.rate, timeoutMs: host?.timeoutMs, inFlight: host?.inFlight, role: host?.role },
  )
  const own = (document.operations as Record<string, object>)['module:subscribe'] ?? {}
  t.notOk('x-patchbay-role' in own || 'x-patchbay-module' in own)
  t.match(document.info, {
    'x-patchbay-modules': { lamp: { errors: { LAMP_GONE: 'It is gone.' }, subscribeRole: 'viewer', state: 'disabled' } },
    'x-patchbay-errors': { FORBIDDEN: coreContract.errors.FORBIDDEN },
  })
})

void t.test('an answer that succeeds has success: true in every shape it may have', async (t) => {
  const result = {
    anyOf: [{ type: 'object', properties: { a: {} }, required: ['a'], additionalProperties: false }, { type: 'object' }],
  }
  t.match(withSuccess(result), {
    required: ['success'],
    anyOf: [
      { properties: { a: {}, success: { const: true } }, required: ['a', 'success'], additionalProperties: false },
      { required: ['success'] },
    ],
  })
  t.match(withSuccess({ properties: { success: { type: 'string' } } }), { properties: { success: { const: true } } })
})

void t.test('a schema in one piece is bounded, however often its definitions are used', async (t) => {
  const long = { type: 'string', description: 'x'.repeat(50_000) }
  const properties = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`p${i}`, { $ref: '#/$defs/long' }]))
  const schema = { type: 'object', $defs: { long }, properties }
  t.ok(JSON.stringify(expand(schema)).length < 500_000)
  const page = contractPage([mounted({ id: 'big', commands: { 'big:go': { payload: schema } } })], coreContract, '1')
  t.ok(page.length < 200_000)
  t.match(page, /And more; the document has all of it\./)
  const beside = { $defs: { on: { type: 'boolean' } }, $ref: '#/$defs/on', description: 'Lit.' }
  t.same(expand(beside), { type: 'boolean', description: 'Lit.' })
  t.same(expand({ ...beside, not: { const: false } }), {
    description: 'Lit.',
    not: { const: false },
    allOf: [{ type: 'boolean' }],
  })
})

void t.test('fields are told with path, type, limits, and whether they must be there', async (t) => {
  const schema: Schema = {
    type: 'object',
    properties: {
      ssid: { type: 'string', minLength: 1, maxLength: 32, description: 'The network.' },
      bands: { type: 'array', items: { enum: ['2.4', 5] }, maxItems: 2 },
      nets: { type: 'array', items: { type: 'object', properties: { signal: { type: 'integer', minimum: 0, maximum: 100 } } } },
      extra: { anyOf: [{ type: 'null' }, { type: 'object', properties: { hidden: { type: 'boolean', default: false } } }] },
      by: { type: 'object', additionalProperties: { type: 'number' } },
    },
    required: ['ssid'],
  }
  t.same(
    fieldsOf(schema).fields.map(({ path, type, required, limits }) => [path, type, required, limits.join(', ')]),
    [
      ['ssid', 'string', true, '1 to 32 characters'],
      ['bands', '("2.4" | 5)[]', false, 'at most 2 items'],
      ['nets', 'object[]', false, ''],
      ['nets[].signal', 'integer', false, '0 to 100'],
      ['extra', 'null | object', false, ''],
      ['extra.hidden', 'boolean', false, 'default false'],
      ['by', 'object', false, ''],
      ['by.<name>', 'number', false, ''],
    ],
  )
  t.equal(typeOf({ type: ['string', 'null'] }), 'string | null')
  t.match(typeOf({ enum: Array.from({ length: 30 }, (_, i) => i) }), /\| 23 \| … \(30 in all\)$/)
})

void t.test('an example call is JavaScript with every field that must be there', async (t) => {
  const call = (payload?: Schema) => exampleCall('lamp:set', payload)
  t.equal(call(), "await socket.emitWithAck('lamp:set')")
  t.equal(call({ type: 'boolean' }), "await socket.emitWithAck('lamp:set', true)")
  const payload = {
    type: 'object',
    properties: {
      "it's": { enum: ['a\'"\\\n'] },
      n: { type: 'integer', minimum: 3 },
      l: { type: 'array', items: {}, minItems: 1 },
      o: {},
    },
    required: ["it's", 'n', 'l', 'gone'],
  }
  const text = call(payload)
  t.equal(text, `await socket.emitWithAck('lamp:set', { 'it\\'s': 'a\\'"\\\\\\n', n: 3, l: [null] })`)
  const sent: unknown[] = []
  const socket = { emitWithAck: (...args: unknown[]) => sent.push(...args) }
  new Function('socket', text.replace('await ', ''))(socket)
  t.same(sent, ['lamp:set', { "it's": 'a\'"\\\n', n: 3, l: [null] }])
})

void t.test('text in a page is escaped, and shows what would hide', async (t) => {
  t.equal(html`<p title="${'"><b>'}">${"<&>'"}</p>`.text, '<p title="&quot;&gt;&lt;b&gt;">&lt;&amp;&gt;&#39;</p>')
  t.equal(html`${'a\u202eb\0c\nd'}`.text, 'a\ufffdb\ufffdc\nd')
  t.equal(html`${[html`<i>`, undefined, false, 0]}`.text, '<i>0')
})
