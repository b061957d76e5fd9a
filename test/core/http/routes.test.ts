import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import fastify from 'fastify'
import t from 'tap'
import { OneTimeLinks } from '../../../core/auth/one-time-link.ts'
import { Guard } from '../../../core/http/guard.ts'
import { addRoutes, type RouteParts } from '../../../core/http/routes.ts'
import type { TestHost } from '../../../core/testing/host.ts'
import { type Heard, join, startLab } from '../wire/lab.ts'

/** fetch would not send another Host. */
function get(host: TestHost, path: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) =>
    request(`${host.url}${path}`, { headers }, (response) => resolve(response.resume().statusCode as number))
      .on('error', reject)
      .end(),
  )
}
const post = async (host: TestHost, body: unknown, headers: Record<string, string> = {}, path = '/login') => {
  const response = await fetch(`${host.url}${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  })
  return { status: response.status, body: (await response.json()) as Heard }
}
const codeOf = (host: TestHost) => host.host.issueLink(false).code

void t.test('a one-time link logs the local owner in, once', async (t) => {
  const host = await startLab(t, [])
  const code = codeOf(host)
  const { status, body } = await post(host, { code })
  t.equal(status, 200)
  t.strictSame(Object.keys(body), ['sessionToken'])
  const owner = await join(t, host, body)
  t.match(await owner.ask('host:sessions', { all: true }), {
    success: true,
    sessions: [{ userId: 'local:owner', name: 'Local owner' }],
  })
  t.strictSame(await post(host, { code }), {
    status: 401,
    body: { success: false, error: (await post(host, { code })).body.error },
  })
  t.match((await post(host, { code })).body.error, /has been used/)
  t.ok(host.log.some((line) => /"by":"link".*127\.0\.0\.1.*logged in/.test(line)))
  t.notOk(
    host.log.some((line) => line.includes(code) || line.includes(body.sessionToken)),
    'no secret in the log',
  )
})

void t.test('a page of our own gets a token of its own for its cookie, and no other page does', async (t) => {
  const host = await startLab(t, [])
  const login = await fetch(`${host.url}/login`, {
    method: 'POST',
    body: JSON.stringify({ code: codeOf(host) }),
    headers: { 'content-type': 'application/json' },
  })
  const cookie = login.headers.get('set-cookie')?.split(';')[0] ?? ''
  const first = (await login.json()) as Heard
  const exchange = (headers: Record<string, string>) => post(host, {}, headers, '/session')
  const { status, body } = await exchange({ cookie, Origin: host.url })
  t.equal(status, 200)
  t.not(body.sessionToken, first.sessionToken)
  const [one, other] = [await join(t, host, first), await join(t, host, body)]
  t.match(await one.ask('host:sessions'), { sessions: [{ clients: 2 }] }, 'a second tab of one session')
  t.match(await other.ask('host:sessions'), { success: true })
  // Of the same site for a browser, which sends the cookie: another program on this machine.
  for (const Origin of ['http://127.0.0.1:1', 'http://localhost:3000', 'null', 'https://evil.example'])
    t.equal((await exchange({ cookie, Origin })).status, 403, Origin)
  t.equal((await exchange({ cookie })).status, 403, 'a page always says where it is from')
  t.match(await exchange({ Origin: host.url }), { status: 401, body: { code: 'AUTH_REQUIRED' } })
  t.match(await exchange({ cookie: cookie.replace(/=.*/, '=wrong'), Origin: host.url }), {
    status: 401,
    body: { code: 'SESSION_EXPIRED' },
  })
})

void t.test('the link is refused to whoever is not at the machine, and stands', async (t) => {
  const host = await startLab(t, [], { host: { trustedProxies: ['127.0.0.1'], hosts: ['pi.example'] } })
  const code = codeOf(host)
  for (const name of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP', 'CF-Connecting-IP'])
    t.equal((await post(host, { code }, { [name]: '127.0.0.1' })).status, 401, name)
  t.equal((await post(host, { code }, { Origin: 'null' })).status, 403)
  t.equal((await post(host, { code }, { Origin: 'https://evil.example' })).status, 403)
  t.equal(await get(host, '/login', { Host: 'evil.example' }), 403)
  t.equal((await post(host, { code: 'wrong' })).status, 401)
  for (const body of [{}, null, [], 7, { code: 7 }, { code: { toString: code } }, { code: 'x'.repeat(500) }])
    t.equal((await post(host, body)).status, 401, JSON.stringify(body))
  t.equal((await post(host, `{"__proto__":{"code":"${code}"}}`)).status, 400)
  t.equal((await post(host, '{"code":')).status, 400)
  t.equal((await post(host, { code: 'x'.repeat(2000) })).status, 413)
  t.equal((await post(host, 'code=1', { 'content-type': 'text/html' })).status, 415)
  t.equal((await post(host, { code })).status, 200)
})

void t.test('wrong codes do not flood the log', async (t) => {
  const host = await startLab(t, [])
  for (let i = 0; i < 60; i++) await post(host, { code: `wrong ${i}` })
  t.equal(host.log.filter((line) => line.includes('"code":"AUTH_INVALID"')).length, 30)
})

void t.test('the login page allows its own script and style and nothing else', async (t) => {
  const loginPage = await readFile(new URL('../../../core/http/login.html', import.meta.url), 'utf8')
  const app = fastify()
  const parts = { guard: new Guard(() => ({ hosts: [], origins: [], trustedProxies: [] })), links: new OneTimeLinks(), loginPage }
  addRoutes(app, parts as unknown as RouteParts)
  t.teardown(() => app.close())
  const { headers, body } = await app.inject({ url: '/login', headers: { host: 'localhost' } })
  const policy = String(headers['content-security-policy'])
  for (const tag of ['script', 'style']) {
    const text = body.slice(body.indexOf(`<${tag}>`) + tag.length + 2, body.indexOf(`</${tag}>`))
    t.ok(text.length > 100 && policy.includes(`${tag}-src 'sha256-${createHash('sha256').update(text).digest('base64')}'`), tag)
  }
  t.equal(body, loginPage)
  t.match(policy, /^default-src 'none'; .*connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/)
  t.notMatch(policy, /unsafe|\*|http/)
  t.notMatch(body, / (on\w+|style|src)=| href="(?!\/)/, 'nothing inline that the policy would refuse')
  t.match(headers, {
    'content-type': /^text\/html/,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  })
})

void t.test('/plugins is for those who are logged in', async (t) => {
  const host = await startLab(t, [])
  const client = await host.client('viewer', 5)
  const ask = async (authorization?: string) => {
    const response = await fetch(`${host.url}/plugins`, authorization === undefined ? {} : { headers: { authorization } })
    return {
      status: response.status,
      body: (await response.json()) as Heard,
      challenge: response.headers.get('www-authenticate'),
    }
  }
  t.match(await ask(), { status: 401, body: { success: false, code: 'AUTH_REQUIRED' }, challenge: 'Bearer' })
  t.match(await ask('Basic abc'), { status: 401, body: { code: 'AUTH_REQUIRED' } })
  t.match(await ask('Bearer'), { status: 401, body: { code: 'AUTH_REQUIRED' } })
  t.match(await ask('Bearer wrong'), { status: 401, body: { code: 'SESSION_EXPIRED' } })
  for (const scheme of ['Bearer', 'bearer']) {
    const { status, body } = await ask(`${scheme} ${client.sessionToken}`)
    t.equal(status, 200)
    t.match(
      body.plugins.find(({ id }: Heard) => id === 'host'),
      { state: 'running' },
    )
    t.ok(body.boot.every(({ name, reason, ms }: Heard) => name && reason && ms >= 0))
  }
  await host.writeConfig('access', { users: {}, roles: {} })
  await client.next('error')
  t.match(await ask(`Bearer ${client.sessionToken}`), { status: 403, body: { code: 'ACCESS_DENIED' } })
})

void t.test('health, readiness, and everything else', async (t) => {
  const host = await startLab(t, [])
  const ask = async (path: string) => {
    const response = await fetch(`${host.url}${path}`)
    return [response.status, await response.json()]
  }
  t.strictSame(await ask('/healthz'), [200, { status: 'ok' }])
  t.strictSame(await ask('/readyz'), [200, { ready: true }])
  for (const path of ['/', '/nothing', '/__proto__', '/plugins/../../etc/passwd', '/%00', '/healthz/x'])
    t.strictSame(await ask(path), [404, { success: false, error: 'There is nothing here.' }], path)
  t.equal((await ask('/%'))[0], 400)
  t.equal(await get(host, '/healthz', { Host: 'evil.example' }), 403)
})

void t.test('a fault of a route is told as nothing but that', async (t) => {
  const app = fastify()
  const parts = {
    guard: new Guard(() => ({ hosts: [], origins: [], trustedProxies: [] })),
    loginPage: '',
    isReady: () => false,
    links: {
      redeem: () => {
        throw new Error('/a/secret/path')
      },
    },
    sessions: {
      check: () => {
        throw new Error('/a/secret/path')
      },
    },
  }
  addRoutes(app, parts as unknown as RouteParts)
  t.teardown(() => app.close())
  const answer = { success: false, error: 'Something went wrong.' }
  const login = await app.inject({ method: 'POST', url: '/login', headers: { host: 'localhost' }, payload: { code: 'x' } })
  t.strictSame([login.statusCode, login.json()], [500, answer])
  const plugins = await app.inject({ url: '/plugins', headers: { host: 'localhost', authorization: 'Bearer x' } })
  t.strictSame([plugins.statusCode, plugins.json()], [500, answer])
  const ready = await app.inject({ url: '/readyz', headers: { host: 'localhost' } })
  t.strictSame([ready.statusCode, ready.json()], [503, { ready: false }])
})
