import { readdir, readFile } from 'node:fs/promises'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { checkContract, loadContractCheck } from '../../../core/lifecycle/contract-check.ts'
import { contractOf } from './package.ts'

await loadContractCheck()
const lamp = contractOf('lamp')
const check = (changes: object, builtin = false) => checkContract({ ...lamp, ...changes }, { builtin })
const schema = (payload: unknown) => check({ events: { 'lamp:state': { payload } } })

void t.test('a contract that uses everything is accepted', async (t) => {
  const everything = {
    $schema: './node_modules/patchbay/config/schemas/contract.schema.json',
    id: 'lamp',
    description: 'A lamp\nwith two lines.',
    policy: 'patchbay',
    subscribeRole: 'viewer',
    needs: {
      dbus: ['org.freedesktop.NetworkManager'],
      tools: { nvme: { package: 'nvme-cli', version: '2.3' }, 'g++': { package: 'g++-12', optional: true } },
      devices: ['/dev/video*', '/sys/class/thermal', '/dev/snd/..hidden'],
      session: true,
      polkit: { 'org.freedesktop.login1.power-off': 'to shut down.' },
      groups: { video: 'to see.' },
    },
    capabilities: {
      dbus: ['org.bluez'],
      exec: ['nvme'],
      files: { read: ['/sys/class/leds', '/proc/stat', '/srv/a b..c'], write: [] },
      network: true,
      addons: true,
      store: true,
    },
    settings: { type: 'object', properties: { everyMs: { type: 'integer', default: 10 } }, additionalProperties: false },
    commands: {
      'lamp:set': {
        description: 'Switches it.',
        payload: { type: 'object', required: ['on'], properties: { on: { type: 'boolean' } }, additionalProperties: false },
        result: { type: 'object', properties: { was: { anyOf: [{ type: 'boolean' }, { type: 'null' }] } } },
        role: 'operator',
        timeoutMs: 600_000,
        rate: { max: 3, windowMs: 30_000 },
        inFlight: 1024,
      },
    },
    events: { 'lamp:state': { payload: { type: 'boolean' }, retained: true, to: 'connected' }, 'lamp:told': { to: 'addressed' } },
    namespaces: { 'media/live-1': { commands: { 'lamp:x': {} }, events: {} } },
    routes: { 'GET /': {}, 'GET /html/a.b': { description: 'A page.', role: 'viewer', token: true } },
    errors: { LAMP_BROKEN: 'The lamp is broken; change it.' },
  }
  t.equal(checkContract(everything, { builtin: false }), undefined)
  t.equal(checkContract({ id: 'lamp' }, { builtin: false }), undefined)
})

void t.test('what is no contract at all is refused', async (t) => {
  const cycle: Record<string, unknown> = { id: 'lamp' }
  cycle.errors = cycle
  for (const value of [undefined, null, 1, 'x', [], [lamp], cycle, { id: 'lamp', errors: 1n }])
    t.match(checkContract(value, { builtin: true }), /^the contract must be (an object|JSON)$/)
  t.equal(checkContract({}, { builtin: true }), 'the contract must have "id"')
})

void t.test('every part of a contract is checked, and the sentence names the place', async (t) => {
  const bad: Array<[object, RegExp]> = [
    [{ id: 'Lamp' }, /^id must be lower-case/],
    [{ id: 'l'.repeat(33) }, /^id must be lower-case/],
    [{ id: 7 }, /^id must be lower-case/],
    [{ color: 1 }, /^color must be left out; known here are commands, events, anonymous, id/],
    [{ constructor: 1 }, /^constructor must be left out/],
    [{ description: '' }, /^description must be a sentence/],
    [{ description: 'x'.repeat(501) }, /^description must be a sentence/],
    [{ policy: '' }, /^policy must be the name of an auth policy/],
    [{ subscribeRole: 'guest' }, /^subscribeRole must be "viewer" or "operator" or "owner"/],
    [{ needs: { disk: true } }, /^needs\/disk must be left out/],
    [{ needs: { dbus: ['NetworkManager'] } }, /^needs\/dbus\/0 must be a well-known D-Bus name/],
    [{ needs: { dbus: 'org.bluez' } }, /^needs\/dbus must be a list of at most 64/],
    [{ needs: { dbus: Array(65).fill('org.bluez') } }, /^needs\/dbus must be a list of at most 64/],
    [{ needs: { tools: { 'bin/nvme': { package: 'x' } } } }, /^needs\/tools\/bin\/nvme must be the name of a program/],
    [{ needs: { tools: { nvme: {} } } }, /^needs\/tools\/nvme must have "package"/],
    [{ needs: { tools: { nvme: { package: 'x; reboot' } } } }, /^needs\/tools\/nvme\/package must be the name of a Debian/],
    [{ needs: { tools: { nvme: { package: 'x', optional: 1 } } } }, /optional must be true or false/],
    [{ needs: { dbus: { NetworkManager: {} } } }, /^needs\/dbus\/NetworkManager must be a well-known D-Bus name/],
    [{ needs: { dbus: { 'org.bluez': { unit: '--now.service' } } } }, /unit must be the name of a systemd service/],
    [{ needs: { dbus: { 'org.bluez': { package: 'a b' } } } }, /package must be the name of a Debian package/],
    [{ needs: { tools: { nvme: { package: 'x', version: '>2' } } } }, /^needs\/tools\/nvme\/version must be a version/],
    [
      { needs: { dbus: { 'org.bluez': { color: 1 } } } },
      /^needs\/dbus\/org\.bluez\/color must be left out; known here are package, unit, object, optional$/,
    ],
    [{ routes: { 'HEAD /': {} } }, /^routes\/HEAD \/ must be GET, POST, PUT, PATCH or DELETE and a path/],
    [{ routes: { 'GET /:id': {} } }, /^routes\/GET \/:id must have "params" if there are such in its path, and only then/],
    [{ routes: { 'GET /a': { params: {} } } }, /^routes\/GET \/a must have "params"/],
    [{ routes: { 'GET /a': { roles: ['x'] } } }, /^routes\/GET \/a must neither have "roles" nor "anonymous" where the policy/],
    [{ anonymous: true }, /^anonymous must be left out where the policy is patchbay/],
    [{ capabilities: { clients: true } }, /^clients must be left out where the policy is patchbay/],
    [{ policy: 'jwt', subscribeRole: 'viewer', commands: {} }, /^subscribeRole must be left out where the policy is not/],
    [{ policy: 'jwt', commands: { go: {} } }, /^commands\/go must have either "roles" or "anonymous" where the policy is not/],
    [{ policy: 'jwt', commands: { go: { roles: ['a'], anonymous: true } } }, /^commands\/go must have either "roles" or/],
    [{ policy: 'jwt', commands: { go: { role: 'owner' } } }, /^commands\/go must neither have "role" nor "token"/],
    [{ policy: 'jwt', commands: {}, refusals: { NO_SUCH: 'no' } }, /^refusals\/NO_SUCH must be one of the core's codes/],
    [{ policy: 'jwt', commands: {}, refusals: { AUTH_INVALID: 'no' } }, /^refusals\/AUTH_INVALID must name an addressed event/],

    [{ routes: { 'GET /a': { role: 'root' } } }, /^routes\/GET \/a\/role must be "viewer" or/],
    [{ needs: { session: false } }, /^needs\/session must be true/],
    [{ needs: { polkit: { "org.a'; rm": 'to play' } } }, /^needs\/polkit\/.* must be a polkit action/],
    [{ needs: { polkit: { 'org.freedesktop.login1.reboot': '' } } }, /must be a sentence/],
    [{ needs: { groups: { 'video audio': 'to see' } } }, /^needs\/groups\/video audio must be the name of a group/],
    [{ needs: { devices: ['dev/video0'] } }, /^needs\/devices\/0 must be an absolute path/],
    [{ needs: { devices: ['/dev/*/x'] } }, /^needs\/devices\/0 must be an absolute path/],
    [{ needs: { devices: ['/dev/../etc/shadow'] } }, /^needs\/devices\/0 must be an absolute path/],
    [{ needs: { devices: ['/dev/..'] } }, /^needs\/devices\/0 must be an absolute path/],
    [{ capabilities: { exec: ['/bin/sh'] } }, /^capabilities\/exec\/0 must be the name of a program/],
    [{ capabilities: { exec: ['-x'] } }, /^capabilities\/exec\/0 must be the name of a program/],
    ...[
      '/',
      'etc',
      '/etc/',
      '/a//b',
      '/a/../b',
      '/a/./b',
      '/a*',
      '/a,/b',
      '/a\nb',
      '/proc',
      '/proc/1',
      '/proc/12/mem',
      '/proc/self/root',
    ].map((path): [object, RegExp] => [
      { capabilities: { files: { read: [path] } } },
      /^capabilities\/files\/read\/0 must be an absolute path/,
    ]),
    [{ capabilities: { files: { write: Array(17).fill('/a') } } }, /^capabilities\/files\/write must be a list of at most 16$/],
    [{ capabilities: { network: false } }, /^capabilities\/network must be true$/],
    [
      { capabilities: { root: true } },
      /^capabilities\/root must be left out; known here are dbus, exec, files, network, clients, addons, store, host$/,
    ],
    [{ settings: { type: 'string' } }, /^settings\/type must be "object"/],
    [{ settings: { type: 'object', properties: { a: { type: 'string' } } } }, /^settings\/properties\/a must have "default"/],
    [{ settings: { type: 'object', properties: { a: true } } }, /^settings\/properties\/a must be an object/],
    [{ commands: [] }, /^commands must be an object/],
    [{ commands: { 'lamp:set': true } }, /^commands\/lamp:set must be an object/],
    [{ commands: { 'lamp:set': { timeout: 1 } } }, /^commands\/lamp:set\/timeout must be left out/],
    [{ commands: { 'lamp:set': { role: 'root' } } }, /^commands\/lamp:set\/role must be/],
    [{ commands: { 'lamp:set': { timeoutMs: 99 } } }, /^commands\/lamp:set\/timeoutMs must be 100 to 600000, whole/],
    [{ commands: { 'lamp:set': { timeoutMs: 600_001 } } }, /timeoutMs must be/],
    [{ commands: { 'lamp:set': { timeoutMs: 100.5 } } }, /timeoutMs must be/],
    [{ commands: { 'lamp:set': { timeoutMs: '100' } } }, /timeoutMs must be/],
    [{ commands: { 'lamp:set': { inFlight: 0 } } }, /inFlight must be 1 to 1024, whole/],
    [{ commands: { 'lamp:set': { inFlight: 1025 } } }, /inFlight must be/],
    [{ commands: { 'lamp:set': { rate: { max: 1 } } } }, /rate must have "windowMs"/],
    [{ commands: { 'lamp:set': { rate: { max: 0, windowMs: 1000 } } } }, /rate\/max must be/],
    [{ commands: { 'lamp:set': { payload: 'string' } } }, /^commands\/lamp:set\/payload must be an object/],
    [{ commands: { 'lamp:set': { result: { type: 'object', x: 1 } } } }, /^commands\/lamp:set\/result\/x must be left out/],
    [{ commands: { 'lamp:a b': {} } }, /^commands\/lamp:a b must be a name of letters/],
    [{ commands: { [`lamp:${'x'.repeat(60)}`]: {} } }, /must be a name of letters/],
    [{ commands: { set: {} } }, /^commands\/set must have a name that begins with lamp:/],
    [{ events: { 'lamps:set': {} } }, /must have a name that begins with lamp:/],
    [{ events: { 'lamp:state': { to: 'all' } } }, /^events\/lamp:state\/to must be "subscribers" or/],
    [{ events: { 'lamp:state': { retained: 'yes' } } }, /retained must be true or false/],
    [
      { events: { 'lamp:state': { retained: true, to: 'addressed' } } },
      /^events\/lamp:state must be either retained or addressed/,
    ],
    [{ namespaces: { '/media': {} } }, /^namespaces\/\/media must be a relative namespace/],
    [{ namespaces: { 'media//x': {} } }, /must be a relative namespace/],
    [{ namespaces: { media: { id: 'x' } } }, /^namespaces\/media\/id must be left out/],
    [{ namespaces: { media: { events: { state: {} } } } }, /^namespaces\/media\/events\/state must have a name that begins/],
    [{ errors: { broken: 'It broke.' } }, /^errors\/broken must be a code of capital letters/],
    [{ errors: { TIMEOUT: 'Too late.' } }, /^errors\/TIMEOUT must be another code, this is one of the core's/],
    [{ errors: { LAMP_BROKEN: '  ' } }, /^errors\/LAMP_BROKEN must be a sentence/],
  ]
  for (const [changes, sentence] of bad) t.match(check(changes), sentence, JSON.stringify(changes).slice(0, 100))
})

void t.test('what the schema of contracts wants it describes, and the contracts that come with Patchbay are such', async (t) => {
  const undescribed = (at: string, schema: unknown): string[] => {
    if (typeof schema !== 'object' || schema === null) return []
    const inner = Object.entries(schema).flatMap(([key, value]) => undescribed(`${at}/${key}`, value))
    return 'pattern' in schema && !('description' in schema) ? [at, ...inner] : inner
  }
  const file = await readFile(new URL('../../../config/schemas/contract.schema.json', import.meta.url), 'utf8')
  t.same(undescribed('', JSON.parse(file)), [])
  t.equal(new Ajv().validateSchema(JSON.parse(file)), true)
  const folder = new URL('../../../dist/plugins/', import.meta.url)
  for (const id of await readdir(folder)) {
    const contract = JSON.parse(await readFile(new URL(`${id}/contract.json`, folder), 'utf8'))
    t.equal(checkContract(contract, { builtin: true }), undefined, id)
  }
})

void t.test('names that belong to the core or to Socket.IO are refused on every namespace', async (t) => {
  for (const id of ['module', 'auth', 'error', 'core', 'patchbay', 'host'])
    t.match(check({ id }), `id must be another, "${id}" is reserved`)
  const names =
    'module:subscribe module:x auth:success error connect connect_error disconnect disconnecting newListener removeListener'
  for (const name of names.split(' ')) {
    t.match(check({ policy: 'jwt', commands: {}, events: { [name]: {} } }), 'must have another name, this one is reserved')
    t.match(
      check({ policy: 'jwt', commands: {}, namespaces: { media: { commands: { [name]: {} } } } }),
      'must have another name, this one is reserved',
    )
  }
})

void t.test('what comes with Patchbay may be the host and control it, others may not', async (t) => {
  const host = { id: 'host', capabilities: { host: true }, commands: {}, events: {} }
  t.equal(check(host, true), undefined)
  t.match(check(host), /^id must be another/)
  t.match(check({ capabilities: { host: true } }), /^capabilities\/host must be left out/)
  t.match(check({ capabilities: { host: false } }, true), /^capabilities\/host must be true/)
})

void t.test('with a policy of its own a plugin names its events as it likes', async (t) => {
  t.equal(check({ policy: 'jwt', commands: { send_message: { roles: ['*'] } }, events: { notification: {} } }), undefined)
})

void t.test('no more than 256 commands and 256 events are accepted', async (t) => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`lamp:e${index}`, {}]))
  t.equal(check({ commands: many(256), events: many(256) }), undefined)
  t.equal(check({ commands: many(257) }), 'commands must have at most 256 entries')
  t.equal(check({ events: many(257) }), 'events must have at most 256 entries')
})

void t.test('a long or wicked key does not blow up or garble the sentence', async (t) => {
  const sentence = check({ [`\u001b[2J${'x'.repeat(100_000)}`]: 1 }) ?? ''
  t.match(sentence, /must be left out/)
  t.ok(sentence.length < 500)
  t.notMatch(sentence, '\u001b')
})

void t.test('keywords that ajv would not know, or that reach beyond the schema, are refused', async (t) => {
  t.equal(
    schema({
      title: 'x',
      type: 'object',
      properties: {
        a: { enum: [1, 2] },
        b: { const: { deep: [[]] } },
        c: { type: 'array', items: [{}, true], additionalItems: false },
      },
      patternProperties: { '^.*$': { type: 'number', minimum: 0, exclusiveMaximum: 9, multipleOf: 3 } },
      propertyNames: { pattern: '^[a-z]$' },
      allOf: [{ not: { required: ['x'] } }],
      if: { minProperties: 1 },
      // biome-ignore lint/suspicious/noThenProperty: it is a keyword
      then: { maxProperties: 9 },
      else: true,
    }),
    undefined,
  )
  for (const keyword of ['$id', '$schema', 'format', '$dynamicRef', 'prefixItems', 'nullable', 'definitions', 'constructor'])
    t.match(schema({ type: 'array', items: { [keyword]: 'x' } }), `events/lamp:state/payload/items/${keyword} must be left out`)
  t.match(schema({ anyOf: {} }), 'anyOf must be a list')
  t.match(schema({ properties: [] }), 'properties must be an object')
  t.match(schema({ not: 1 }), 'not must be an object')
  t.match(schema(true), 'payload must be an object')
})

void t.test('a schema refers to its own definitions only, and not to itself', async (t) => {
  const $defs = { lamp: { type: 'object', properties: { on: { $ref: '#/$defs/on' } } }, on: { type: 'boolean' } }
  t.equal(schema({ $defs, type: 'array', items: { $ref: '#/$defs/lamp' } }), undefined)
  for (const $ref of ['https://x.example/y', '#', '#/properties/a', '#/$defs/none', '#/$defs/constructor', 'lamp', 7])
    t.match(schema({ $defs, items: { $ref } }), /items\/\$ref must be #\/\$defs\//)
  t.match(schema({ $ref: '#/$defs/x' }), /\$ref must be #\/\$defs\//)
  t.match(
    schema({ $ref: '#/$defs/a', $defs: { a: { items: { $ref: '#/$defs/a' } } } }),
    /must neither refer to itself nor be nested deeper than 32/,
  )
})

void t.test('schemas are bounded in depth, in number and in size, also through references', async (t) => {
  const nest = (levels: number) => Array.from({ length: levels }).reduce<object>((inner) => ({ not: inner }), {})
  t.equal(schema(nest(32)), undefined)
  t.match(schema(nest(33)), 'nested deeper than 32')
  t.match(check({ errors: nest(100_000) }), 'must be JSON')

  const wide = (count: number) => ({ anyOf: Array.from({ length: count }, () => ({})) })
  t.equal(schema(wide(1997)), undefined)
  t.match(schema(wide(1998)), 'a contract may have 2000 schemas')
  t.match(check({ events: { 'lamp:a': { payload: wide(1000) }, 'lamp:b': { payload: wide(1000) } } }), 'events/lamp:b/payload')

  const doubling = Array.from({ length: 15 }, (_, at) => [
    `d${at}`,
    { anyOf: [{ $ref: `#/$defs/d${at + 1}` }, { $ref: `#/$defs/d${at + 1}` }] },
  ])
  const started = performance.now()
  t.match(schema({ $ref: '#/$defs/d0', $defs: { ...Object.fromEntries(doubling), d15: {} } }), 'must be smaller')
  t.ok(performance.now() - started < 1000, 'without following all of the 32,768 ways')

  t.equal(schema({ enum: ['x'.repeat(65_000)] }), undefined)
  t.match(schema({ enum: ['x'.repeat(66_000)] }), '64 kB together')
  t.match(schema({ uniqueItems: true }), 'maxItems of at most 256')
  t.match(schema({ uniqueItems: true, maxItems: 257 }), 'maxItems of at most 256')
  t.equal(schema({ uniqueItems: true, maxItems: 256 }), undefined)
})

void t.test('nothing makes the check throw', async (t) => {
  const keys =
    'id commands events needs capabilities settings namespaces errors policy lamp:set payload type properties pattern $ref $defs items anyOf rate'
  const key = fc.oneof(fc.constantFrom(...keys.split(' ')), fc.string())
  const wild = fc.anything({
    key,
    withBigInt: true,
    withNullPrototype: true,
    withDate: true,
    withMap: true,
    withSparseArray: true,
  })
  const nearly = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom<unknown>('lamp', '#/$defs/a', '^a', 1, true, null),
      fc.dictionary(key, tie('node')),
    ),
  })).node
  const answers = (value: unknown) => ['string', 'undefined'].includes(typeof checkContract(value, { builtin: false }))
  fc.assert(fc.property(wild, answers), { numRuns: 500 })
  fc.assert(
    fc.property(nearly, (value) => answers(Object.assign({}, value, { id: 'lamp' }))),
    { numRuns: 500 },
  )
  const inPlace = (value: unknown) =>
    answers({ id: 'lamp', events: { 'lamp:a': { payload: value } }, settings: value, errors: value })
  fc.assert(fc.property(fc.oneof(wild, nearly), inPlace), { numRuns: 500 })
  t.pass('1,500 values')
})

void t.test('a defect of the check itself is not taken for a problem of the contract', async (t) => {
  let reads = 0
  const moody = {
    get id() {
      if (++reads > 1) throw new TypeError('moody')
      return 'lamp'
    },
  }
  t.throws(() => checkContract(moody, { builtin: false }), { message: 'moody' })
})
