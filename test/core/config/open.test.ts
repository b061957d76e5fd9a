import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compile } from '@fastify/proxy-addr'
import { Ajv } from 'ajv'
import t from 'tap'
import { Config } from '../../../core/config/config.ts'
import { ConfigError } from '../../../core/config/problem.ts'

/** The lines of the error that these files give, without the directory. */
async function problems(t: Tap, files: Record<string, string | Buffer>, env: Record<string, string> = {}): Promise<string[]> {
  const configDir = t.testdir(files)
  return refusal(configDir, env)
}

type Tap = { testdir(files: Record<string, string | Buffer>): string }

async function refusal(configDir: string, env: Record<string, string> = {}): Promise<string[]> {
  const result: unknown = await Config.open({ configDir, env }).catch((error: unknown) => error)
  return result instanceof ConfigError ? result.message.replaceAll(`${configDir}/`, '').split('\n') : []
}

const open = (configDir: string, env: Record<string, string> = {}) => Config.open({ configDir, env })

void t.test('a directory that does not exist means the defaults', async (t) => {
  const config = await open(join(t.testdir(), 'none/at/all'))
  t.same(config.host, {
    address: '127.0.0.1',
    port: 8080,
    hosts: [],
    origins: [],
    trustedProxies: [],
    namespace: '/',
    pluginDirs: [],
    telegram: { environment: 'production' },
    limits: {
      sockets: 4096,
      socketsPerAddress: 512,
      pendingPerAddress: 32,
      socketsPerUser: 32,
      failuresPerMinute: 30,
      messageBytes: 65536,
      backlogMessages: 256,
      inFlightPerUser: 128,
    },
    ages: { initDataS: 3600, sessionIdleS: 2592000, sessionAbsoluteS: 15552000 },
    log: { level: 'info' },
  })
  t.same(config.access, { users: {}, roles: {} })
  t.same(config.plugins, { plugins: {} })
  t.same(config.problems, [])
})

void t.test('comments, trailing commas and a byte order mark are allowed; what is not said keeps its default', async (t) => {
  const config = await open(
    t.testdir({
      'host.json':
        '\uFEFF// mine\n{ "$schema": "x", "port": 0, /* few */ "limits": { "sockets": 10, }, "tls": { "cert": "/c", "key": "/k" } }',
      'access.json':
        '{ "users": { "5": "owner", "6": ["operator", "guest"] }, "roles": { "guest": ["system:*", "!system:reboot", "*"] } }',
      'plugins.json': '{ "plugins": { "wifi": { "enabled": false, "namespace": "/a/b" } } }',
    }),
  )
  t.match(config.host, { port: 0, limits: { sockets: 10, socketsPerUser: 32 }, tls: { cert: '/c', key: '/k' } })
  t.same(config.access.users, { 5: 'owner', 6: ['operator', 'guest'] })
  t.same(config.plugins.plugins, { wifi: { enabled: false, namespace: '/a/b', memoryMb: 256, settings: {} } })
})

void t.test('values cannot be changed by who reads them', async (t) => {
  const config = await open(t.testdir({ 'plugins.json': '{ "plugins": { "a": { "settings": { "deep": [{}] } } } }' }))
  for (const value of [config.host.limits, config.access.users, Reflect.get(config.plugins.plugins.a?.settings.deep ?? [], 0)]) {
    t.throws(() => Object.assign(value, { x: 1 }), TypeError)
  }
})

void t.test('every problem of every file is told with its place and what mends it', async (t) => {
  const lines = await problems(t, {
    'host.json':
      '{\n  "port": 8080,\n  "prot": 1,\n  "log": { "level": "loud" },\n  "trustedProxies": ["loopback",\n    true]\n}',
    'access.json': '{ "users": { "@durov": "owner", "7": ["viewer", "gust"] }, "roles": { "owner": [], "a": ["x"] } }',
    'plugins.json': '[]',
  })
  t.match(lines.sort(), [
    /^access.json:1:14: "users.@durov" does not fit \(a Telegram user id: digits/,
    /^access.json:1:71: "roles.owner" does not fit \(the name of a new role: .* are built in\)/,
    /^access.json:1:90: "roles.a.0" does not fit \(A grant: <module>:<command>/,
    'host.json:3:3: "prot" is not a setting; there are $schema, address, port,',
    /^host.json:4:12: "log.level" must be equal to one of the allowed values: fatal, error, .* \(The least serious/,
    /^host.json:6:5: "trustedProxies.1" must be string \(An IP address, a range/,
    /^plugins.json:1:1: the file must be object \(Which plugins run/,
  ])
  t.equal(lines.length, 7)
})

void t.test('a user’s roles must be built in or defined', async (t) => {
  const access = '{ "users": {\n "7": ["viewer", "gust", "constructor"],\n "8": "\\u001b[2Jx" } }'
  t.same(await problems(t, { 'access.json': access }), [
    'access.json:2:2: there is no role "gust"; define it in "roles"',
    'access.json:2:2: there is no role "constructor"; define it in "roles"',
    'access.json:3:2: there is no role "\\u{1b}[2Jx"; define it in "roles"',
  ])
})

void t.test('syntax errors are told in words', async (t) => {
  t.same(await problems(t, { 'host.json': '{\n  "port": 1 "address": "::"\n', 'access.json': '' }), [
    'host.json:2:13: Comma expected here',
    'host.json:3:1: Close brace expected here',
    'access.json:1:1: Value expected here',
  ])
})

void t.test('a key that stands twice, and keys that name an object’s insides, are refused', async (t) => {
  const plugins =
    '{ "plugins": { "a": {}, "a": {}, "b": { "settings": [{ "x": 1, "x": 1 }] }, "c": { "settings": { "__proto__": {} } } } }'
  t.same(await problems(t, { 'plugins.json': plugins, 'access.json': '{ "users": { "5": "owner", "\\u0035": "viewer" } }' }), [
    'access.json:1:28: "5" stands here twice; remove one',
    'plugins.json:1:25: "a" stands here twice; remove one',
    'plugins.json:1:64: "x" stands here twice; remove one',
    'plugins.json:1:98: "__proto__" is not a legal key; remove it',
    'plugins.json:1:41: "plugins.b.settings" must be object (Its own settings, as its contract describes them.)',
  ])
  t.same(await problems(t, { 'host.json': '{ "port": 1, "port": 70000 }' }), [
    'host.json:1:14: "port" stands here twice; remove one',
    'host.json:1:14: "port" must be <= 65535 (The TCP port to listen on; 0 takes any that is free.)',
  ])
  for (const key of ['constructor', 'prototype']) {
    t.match(await problems(t, { 'plugins.json': `{ "plugins": { "${key}": {} } }` }), [`"${key}" is not a legal key`])
  }
})

void t.test('text from a file cannot reach the terminal raw, nor fill it', async (t) => {
  const key = '\u202e\u007f\u009b31m'
  t.match(await problems(t, { 'host.json': `{ "${key}": 1 }` }), ['host.json:1:3: "\\u{202e}\\u{7f}\\u{9b}31m" is not a setting'])
  const [line = ''] = await problems(t, { 'host.json': `{ "${'x'.repeat(100_000)}": 1 }` })
  t.ok(line.length < 500)
  t.match(await problems(t, { 'access.json': '{ "users": { "a/~b": 5 } }' }), [
    'access.json:1:14: "users.a/~b" does not fit',
    'access.json:1:14: "users.a/~b" must be string,array',
  ])
  t.equal((await problems(t, { 'access.json': `{ ${'! '.repeat(10_000)}}` })).length, 20)
  const flood = Array.from({ length: 50_000 }, (_, index) => `"${index}@": "no"`).join()
  t.equal((await problems(t, { 'access.json': `{ "users": { ${flood} } }` })).length, 20)
  const strangers = Array.from({ length: 40_000 }, (_, index) => `"${index + 1}": "no"`).join()
  t.equal((await problems(t, { 'access.json': `{ "users": { ${strangers} } }` })).length, 20)
})

void t.test('depth is bounded', async (t) => {
  const nested = (depth: number) => `{ "plugins": { "a": { "settings": { "x": ${'['.repeat(depth)}"{"${']'.repeat(depth)} } } } }`
  t.same(await problems(t, { 'plugins.json': nested(28) }), [])
  t.match(await problems(t, { 'plugins.json': nested(29) }), ['plugins.json:1:70: more than 32 levels of brackets'])
  t.match(await problems(t, { 'plugins.json': '['.repeat(1_000_000) }), ['more than 32 levels'])
})

void t.test('what is not a readable regular file is refused at once; links are followed', async (t) => {
  const dir = t.testdir({
    a: { 'host.json': {} },
    b: { 'host.json': t.fixture('symlink', 'nowhere') },
    c: { 'host.json': Buffer.alloc(1024 * 1024 + 1, ' ') },
    d: { 'host.json': Buffer.from('{ "address": "\xff" }', 'latin1') },
    e: {},
    f: {},
    g: { 'host.json': t.fixture('symlink', '../real.json') },
    'real.json': '{ "port": 1 }',
  })
  execFileSync('mkfifo', [join(dir, 'e/host.json')])
  const short = mkdtempSync(join(tmpdir(), 'patchbay-'))
  const server = createServer().listen(join(short, 'socket'))
  await once(server, 'listening')
  symlinkSync(join(short, 'socket'), join(dir, 'f/host.json'))
  t.match(await refusal(join(dir, 'a')), ['host.json:1:1: this is not a regular file; put one in its place'])
  t.match(await refusal(join(dir, 'b')), ['host.json:1:1: this is a link to nowhere'])
  t.match(await refusal(join(dir, 'c')), ['host.json:1:1: this file is larger than 1 MiB'])
  t.match(await refusal(join(dir, 'd')), ['host.json:1:1: this is not UTF-8 text'])
  t.match(await refusal(join(dir, 'e')), ['host.json:1:1: this is not a regular file'])
  t.match(await refusal(join(dir, 'f')), ['host.json:1:1: this file cannot be read (ENXIO)'])
  t.equal((await open(join(dir, 'g'))).host.port, 1)
  server.close()
  rmSync(short, { recursive: true })
  symlinkSync('/dev/zero', join(dir, 'g/access.json'))
  t.match(await refusal(join(dir, 'g')), ['access.json:1:1: this is not a regular file'])
})

void t.test('the environment overrides host.json', async (t) => {
  const dir = t.testdir({ 'host.json': '{ "port": 1, "log": { "level": "warn" }, "telegram": { "environment": "test" } }' })
  const config = await open(dir, {
    PATCHBAY_ADDRESS: '::1',
    PATCHBAY_PORT: '0',
    PATCHBAY_PUBLIC_URL: 'https://pi.example.org:8443',
    PATCHBAY_TRUSTED_PROXIES: 'loopback, 10.0.0.0/8',
    PATCHBAY_PLUGIN_DIRS: '/a:/b',
    PATCHBAY_NAMESPACE: '/pi',
    PATCHBAY_LOG_LEVEL: 'debug',
    TELEGRAM_BOT_ID: '5768337691',
  })
  t.match(config.host, {
    address: '::1',
    port: 0,
    publicUrl: 'https://pi.example.org:8443',
    trustedProxies: ['loopback', '10.0.0.0/8'],
    pluginDirs: ['/a', '/b'],
    namespace: '/pi',
    log: { level: 'debug' },
    telegram: { botId: 5768337691, environment: 'test' },
  })
  t.equal((await open(dir, { PATCHBAY_PORT: '' })).host.port, 1, 'an empty variable counts as not set')
})

void t.test('an override that does not fit is told by its variable’s name', async (t) => {
  const env = { PATCHBAY_PORT: '80a', PATCHBAY_TRUSTED_PROXIES: 'true', PATCHBAY_LOG_LEVEL: 'loud', PATCHBAY_PLUGIN_DIRS: 'here' }
  const lines = await problems(t, { 'host.json': '{ "namespace": "x" }' }, env)
  t.match(lines.sort(), [
    /^PATCHBAY_LOG_LEVEL: "log.level" must be equal to one of/,
    /^PATCHBAY_PLUGIN_DIRS: "pluginDirs.0" does not fit \(An absolute path/,
    /^PATCHBAY_PORT: "port" must be integer \(The TCP port/,
    /^PATCHBAY_TRUSTED_PROXIES: "trustedProxies.0" does not fit/,
    /^host.json:1:3: "namespace" does not fit/,
  ])
  t.equal(lines.length, 5)
})

void t.test('a file that is not an object is refused with overrides too', async (t) => {
  for (const json of ['null', '[]', '5', '"x"']) {
    t.match(await problems(t, { 'host.json': json }, { PATCHBAY_PORT: '1' }), ['host.json:1:1: the file must be object'])
  }
})

const legal: Record<string, [good: unknown[], bad: unknown[]]> = {
  address: [
    ['0.0.0.0', '::', 'localhost'],
    ['', 'example.org', '1.2.3', 1],
  ],
  port: [
    [0, 65535],
    [-1, 65536, 1.5, '80', null],
  ],
  publicUrl: [
    ['https://pi.example.org', 'http://10.0.0.1:8080', 'https://[::1]:1'],
    [
      'https://pi.example.org/',
      'pi.example.org',
      'ftp://x',
      'https://u@x',
      'https://x/a',
      'HTTPS://x',
      'https://x:443',
      'javascript:1',
    ],
  ],
  hosts: [[['pi.local', '192.168.1.2', '[::1]']], [['Pi'], ['pi:80'], [''], 'pi', ['*']]],
  trustedProxies: [
    [['loopback', 'linklocal', 'uniquelocal', '10.0.0.1', '10.0.0.0/8', 'fc00::/7', '::1/128']],
    [
      true,
      'loopback',
      [true],
      ['true'],
      ['0.0.0.0/0'],
      ['::/0'],
      ['10.0.0.0/33'],
      ['::/129'],
      ['10.0.0.0/08'],
      ['x'],
      ['1.2.3.4/8/8'],
      ['fe80::1%eth0'],
    ],
  ],
  tls: [[{ cert: '/c', key: '/k' }], [{ cert: '/c' }, { cert: 'c', key: '/k' }, { cert: '/c', key: '/k', ca: '/x' }]],
  namespace: [
    ['/', '/a', '/a-1/b_2'],
    ['', 'a', '/a/', '//', '/a b'],
  ],
  telegram: [
    [{ botId: 1 }, { environment: 'test' }],
    [{ botId: '1' }, { botId: 0 }, { token: '1:a' }],
  ],
  limits: [[{ sockets: 1 }], [{ sockets: 0 }, { cats: 1 }]],
}

for (const [setting, [good, bad]] of Object.entries(legal)) {
  void t.test(`what ${setting} may be`, async (t) => {
    for (const value of good)
      t.same(await problems(t, { 'host.json': JSON.stringify({ [setting]: value }) }), [], JSON.stringify(value))
    for (const value of bad) {
      t.match(
        await problems(t, { 'host.json': JSON.stringify({ [setting]: value }) }),
        [new RegExp(`^host.json.*"${setting}`)],
        JSON.stringify(value),
      )
    }
  })
}

void t.test('every proxy that is legal here is one that the proxy library takes', async (t) => {
  for (const list of legal.trustedProxies?.[0] ?? []) t.doesNotThrow(() => compile(list as string[]))
})

void t.test('a number too large to be one is refused', async (t) => {
  t.match(await problems(t, { 'host.json': '{ "limits": { "sockets": 1e999 } }' }), [
    'host.json:1:15: "limits.sockets" must be integer',
  ])
})

void t.test('the examples are valid and name their schema', async (t) => {
  const examples = new URL('../../../config/examples/', import.meta.url)
  const config = await open(examples.pathname)
  t.match(config.host, { port: 8080, trustedProxies: ['loopback'] })
  t.match(config.access.roles, { guest: ['system:*', '!system:reboot'] })
  t.match(config.plugins.plugins, { storage: { enabled: false } })
  for (const name of ['host', 'access', 'plugins']) {
    const [, schema = ''] = /"\$schema": "(.*)"/.exec(readFileSync(new URL(`${name}.json`, examples), 'utf8')) ?? []
    t.match(JSON.parse(readFileSync(new URL(schema, examples), 'utf8')), { title: `Patchbay: ${name}.json` })
  }
})

void t.test('the schemas are schemas, and every property in them is described', async (t) => {
  for (const name of ['host', 'access', 'plugins']) {
    const schema: unknown = JSON.parse(
      readFileSync(new URL(`../../../config/schemas/${name}.schema.json`, import.meta.url), 'utf8'),
    )
    t.equal(new Ajv().validateSchema(schema as object), true)
    t.same(undescribed(schema, name), [])
  }
})

function undescribed(schema: unknown, at: string): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const {
    description,
    properties = {},
    items,
    additionalProperties,
    propertyNames,
  } = schema as Record<string, object | undefined>
  const inner = { ...properties, items, additionalProperties, propertyNames }
  return [...(description ? [] : [at]), ...Object.entries(inner).flatMap(([key, value]) => undescribed(value, `${at}.${key}`))]
}
