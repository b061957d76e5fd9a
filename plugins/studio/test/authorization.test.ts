import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'

t.setTimeout(240_000)

const studio = JSON.parse(
  readFileSync(new URL('../../../dist/plugins/studio/contract.json', import.meta.url), 'utf8'),
) as Contract
const groups = Object.entries({ '': studio, ...studio.namespaces }).map(
  ([group, { commands = {} }]) => [group, Object.keys(commands)] as const,
)

/** A payload for each command that is good for who may give it, `logout` last: it makes somebody nobody. */
const payloads: Readonly<Record<string, unknown>> = {
  joinRoom: 'project-1',
  leaveRoom: 'project-1',
  getConnectionInfo: undefined,
  ping: undefined,
  heartbeat: { timestamp: 1 },
  subscribeMedia: 'film',
  unsubscribeMedia: 'film',
  logout: undefined,
}
const forKnown = ['joinRoom', 'leaveRoom', 'subscribeMedia', 'unsubscribeMedia']

const bodies: Readonly<Record<string, object | undefined>> = {
  'POST /api/media/:mediaId/progress': { progress: 1, stage: 's' },
  'POST /api/media/:mediaId/complete': { url: 'u' },
  'POST /api/media/:mediaId/error': { error: 'e' },
  'DELETE /api/media/:mediaId': undefined,
  'POST /api/notifications': { userId: 'u', type: 'info', title: 't', message: 'm' },
  'POST /api/rooms/:room/update': {},
}

async function start(t: Test): Promise<TestHost> {
  const host = await startTestHost({ builtins: ['studio'] })
  t.teardown(() => host.stop())
  await host.reached('studio', 'running')
  return host
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Tokens that are good for nothing, all of a producer. */
async function badTokens(host: TestHost): Promise<Record<string, string>> {
  const good = await host.token('studio', ['producer'])
  const own = (await readFile(join(host.dataDir, 'jwt/studio/key'), 'utf8')).trim()
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'patchbay', aud: 'studio', sub: 'alice', role: 'producer', iat: now - 120, exp: now + 600 }
  const signed = (key: string, more: object = {}, header: object = { alg: 'HS256' }) => {
    const text = `${encode(header)}.${encode({ ...claims, ...more })}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  return {
    nonsense: 'nonsense',
    empty: '',
    forged: signed('x'.repeat(32)),
    expired: signed(own, { exp: now - 60 }),
    'of another plugin': signed(own, { aud: 'areas' }),
    'of another issuer': signed(own, { iss: 'https://id.example' }),
    'of another algorithm': signed(own, {}, { alg: 'HS512' }),
    unsigned: `${encode({ alg: 'none' })}.${encode(claims)}.`,
    confused: `${encode({ alg: 'RS256', jku: 'http://127.0.0.1:1/keys' })}.${good.split('.').slice(1).join('.')}`,
  }
}

void t.test('every command of every namespace, for each who might give it', async (t) => {
  const host = await start(t)
  const bad = await badTokens(host)
  const all = groups.flatMap(([, commands]) => commands)
  t.same([...new Set(all)].sort(), [...Object.keys(payloads), 'authenticate'].sort(), 'the table has them all')
  for (const [group, commands] of groups) {
    const known = { user: ['user'], producer: ['producer'], 'no role': [] as string[] }
    const visits: Array<readonly [who: string, isKnown: boolean, visit: object]> = [
      ['nobody', false, {}],
      ...Object.entries(bad).map(([who, token]) => [who, false, { auth: { token } }] as const),
      ...Object.entries(known).map(([who, roles]) => [who, true, { roles }] as const),
    ]
    for (const [who, isKnown, visit] of visits) {
      const client = await host.visit('studio', { group, ...visit })
      for (const name of Object.keys(payloads).filter((each) => commands.includes(each))) {
        const { success, code } = await client.ask(name, payloads[name])
        const expected = isKnown || !forKnown.includes(name) ? undefined : 'AUTH_REQUIRED'
        t.equal(code, expected, `${who}: ${name} on "${group}" is answered ${String(code ?? success)}`)
      }
      client.socket.close()
    }
    const client = await host.visit('studio', { group })
    for (const [who, token] of Object.entries(bad))
      t.match(await client.ask('authenticate', { token }), { success: false, code: 'AUTH_INVALID' }, `authenticate: ${who}`)
    t.equal(client.heard.filter(([event]) => event === 'authError').length, Object.keys(bad).length)
    t.match(await client.ask('authenticate', { token: await host.token('studio', []) }), { success: true, userId: 'alice' })
  }
})

void t.test('every route, for each who might ask', async (t) => {
  const host = await start(t)
  t.same(Object.keys(bodies).sort(), Object.keys(studio.routes ?? {}).sort(), 'the table has them all')
  const tokens: Record<string, readonly [token: string | undefined, status: number]> = {
    nobody: [undefined, 401],
    ...Object.fromEntries(Object.entries(await badTokens(host)).map(([who, token]) => [who, [token, 401] as const])),
    user: [await host.token('studio', ['user']), 403],
    admin: [await host.token('studio', ['admin', 'owner', '*']), 403],
    'no role': [await host.token('studio', []), 403],
    producer: [await host.token('studio', ['producer']), 0],
  }
  let item = 0
  for (const [route, body] of Object.entries(bodies))
    for (const [who, [token, status]] of Object.entries(tokens)) {
      const [method = '', path = ''] = route.split(' ')
      const answer = await fetch(`${host.url}/studio${path.replace(/:\w+/, () => `x${item++}`)}`, {
        method,
        headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }) },
        ...(body && { body: JSON.stringify(body) }),
      })
      await answer.text()
      t.ok(status === 0 ? answer.ok : answer.status === status, `${who}: ${route} is answered ${answer.status}`)
    }
})

void t.test('whatever a client sends, it is answered with a code and nothing breaks', async (t) => {
  const host = await start(t)
  const clients: Array<{ commands: readonly string[]; client: Awaited<ReturnType<TestHost['visit']>> }> = []
  for (const [group, commands] of groups)
    for (const visit of [{}, { roles: ['user'] }])
      clients.push({ commands, client: await host.visit('studio', { group, ...visit }) })
  const text = fc.oneof(fc.string({ maxLength: 300 }), fc.constantFrom('__proto__', 'user:bob', 'constructor', '*', ''))
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1000),
      fc.nat(1000),
      fc.oneof(text, fc.jsonValue({ maxDepth: 4 }), fc.record({ token: text }), fc.record({ timestamp: fc.double() })),
      async (whom, what, payload) => {
        const { client, commands } = clients[whom % clients.length] as (typeof clients)[number]
        const name = commands[what % commands.length] as string
        const { success, code } = await client.ask(name, payload)
        if (success !== true && (code === undefined || code === 'INTERNAL')) throw new Error(`${name} is answered ${code}`)
      },
    ),
    { numRuns: 300, endOnFailure: true },
  )
  const token = await host.token('studio', ['producer'])
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.keys(bodies)), text, fc.jsonValue({ maxDepth: 4 }), async (route, name, body) => {
      const [method = '', path = ''] = route.split(' ')
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const url = `${host.url}/studio${path.replace(/:\w+/, () => encodeURIComponent(name) || 'x')}`
      const { status } = await fetch(url, { method, headers, body: JSON.stringify(body) })
      if (status >= 500) throw new Error(`${route} is answered ${status}`)
    }),
    { numRuns: 150, endOnFailure: true },
  )
  t.match(await host.reached('studio', 'running'), { state: 'running' })
  t.notMatch(host.log.join(''), /a handler failed|does not fit its contract/)
})
