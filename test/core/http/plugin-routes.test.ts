import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { routeTokensFile } from '../../../core/http/route-tokens.ts'
import type { RouteRequest, RouteResponse } from '../../../core/plugin/context.ts'
import type { TestHost } from '../../../core/testing/host.ts'
import { type LooseContext, startLab } from '../wire/lab.ts'

const routes = {
  'GET /': { role: 'viewer', description: 'A page' },
  'GET /data.json': { role: 'operator', token: true },
  'GET /secret': {},
} as const
type Serve = (request: RouteRequest) => RouteResponse | Promise<RouteResponse>
const page: Serve = ({ path, query, caller }) => ({
  type: 'text/plain',
  body: JSON.stringify({ path, query, caller: { userId: caller.userId, roles: caller.roles } }),
})

/** A host with the plugin `pages`, which answers every route with the same. */
function startPages(t: Test, answer: Serve = page, more?: (context: LooseContext) => void): Promise<TestHost> {
  const start = (context: LooseContext) => {
    for (const route of Object.keys(routes)) context.serve(route, answer)
    more?.(context)
  }
  return startLab(t, [{ contract: { id: 'pages', routes }, start }])
}

const get = (host: TestHost, path: string, token?: string, headers: Record<string, string> = {}) =>
  fetch(`${host.url}${path}`, { headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) } })
const statusOf = async (host: TestHost, path: string, token?: string) => (await get(host, path, token)).status

void t.test('a route is for those whose role its contract names, and never sees what they proved it with', async (t) => {
  const seen: RouteRequest[] = []
  const host = await startPages(t, (request) => {
    seen.push(request)
    return page(request)
  })
  const [viewer, operator, owner] = [await host.client('viewer', 1), await host.client('operator'), await host.client('owner')]
  t.equal(await statusOf(host, '/pages'), 401)
  t.equal(await statusOf(host, '/pages', 'wrong'), 401)
  const answer = await get(host, '/pages?name=a%26b&__proto__=1', viewer.sessionToken)
  t.equal(answer.status, 200)
  t.strictSame(await answer.json(), {
    path: '/',
    query: JSON.parse('{"name":"a&b","__proto__":"1"}') as object,
    caller: { userId: 'telegram:1', roles: ['viewer'] },
  })
  t.equal(await statusOf(host, '/pages/data.json', viewer.sessionToken), 403)
  t.equal(await statusOf(host, '/pages/data.json', operator.sessionToken), 200)
  t.equal(await statusOf(host, '/pages/secret', operator.sessionToken), 403, 'without a role it is the owner’s')
  t.equal(await statusOf(host, '/pages/secret', owner.sessionToken), 200)
  t.notMatch(JSON.stringify(seen), new RegExp(`${viewer.sessionToken}|${owner.sessionToken}`))
  for (const path of ['/pages/none', '/pages/data.json/', '/pages/../pages/none', '/none', '//pages'])
    t.equal(await statusOf(host, path, owner.sessionToken), 404, path)
  const posted = await fetch(`${host.url}/pages`, { method: 'POST', headers: { authorization: `Bearer ${owner.sessionToken}` } })
  t.equal(posted.status, 404)
})

void t.test('an answer runs nothing, loads nothing and is kept nowhere', async (t) => {
  const html = '<script>alert(1)</script>'
  const host = await startPages(t, () => ({
    type: 'text/html; charset=utf-8',
    body: new TextEncoder().encode(html),
    status: 203,
  }))
  const { headers, status, ...answer } = await get(host, '/pages', (await host.client()).sessionToken).then(async (response) => ({
    headers: response.headers,
    status: response.status,
    text: await response.text(),
  }))
  t.equal(status, 203)
  t.equal(answer.text, html)
  t.equal(headers.get('content-type'), 'text/html; charset=utf-8')
  t.match(headers.get('content-security-policy') ?? '', /^sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:;/)
  t.equal(headers.get('x-content-type-options'), 'nosniff')
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('set-cookie'), null)
})

void t.test('a program that cannot log in sends the token of the plugin itself, where its contract allows that', async (t) => {
  const host = await startPages(t)
  const [token, other] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
  const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url')
  const keep = (content: object) => writeFile(routeTokensFile(host.dataDir), JSON.stringify(content), { mode: 0o600 })
  t.equal(await statusOf(host, '/pages/data.json', token), 401, 'there is none yet')
  await keep({ pages: hashOf(token), others: hashOf(other), host: 7 })
  const answer = await get(host, '/pages/data.json', token)
  t.match(await answer.json(), { caller: { userId: 'token:pages', roles: [] } })
  t.equal(await statusOf(host, '/pages/data.json', other), 401, 'not that of another plugin')
  t.equal(await statusOf(host, '/pages/data.json', hashOf(token)), 401, 'what is on disk lets nobody in')
  t.equal(await statusOf(host, '/pages', token), 401, 'not where the contract does not say so')
  await writeFile(routeTokensFile(host.dataDir), `{"pages": "${hashOf(token)}`)
  t.equal(await statusOf(host, '/pages/data.json', token), 401, 'a damaged file lets nobody in')
  await keep({})
  t.equal(await statusOf(host, '/pages/data.json', token), 401, 'what was taken back counts no more')
})

void t.test('a browser that was let in by link reads routes with its cookie, which no other site can send', async (t) => {
  const host = await startPages(t)
  const code = host.host.issueLink(false).code
  const login = await fetch(`${host.url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  })
  const cookie = login.headers.get('set-cookie') ?? ''
  t.match(cookie, new RegExp(`^patchbay-${new URL(host.url).port}=[\\w-]{43}; HttpOnly; SameSite=Strict; Path=/$`))
  const [pair = ''] = cookie.split(';')
  const answer = await get(host, '/pages/secret', undefined, { cookie: `a=b; ${pair}` })
  t.match(await answer.json(), { caller: { userId: 'local:owner', roles: ['owner'] } })
  t.equal((await get(host, '/pages/secret', undefined, { cookie: `x${pair}` })).status, 401)
  const { sessionToken } = (await login.json()) as { sessionToken: string }
  t.not(pair.split('=')[1], sessionToken, 'it is a token of its own')
  // What a socket does with the session's token does not touch the cookie's.
  for (let i = 0; i < 3; i++) t.equal(await statusOf(host, '/pages', sessionToken), 200)
  t.equal((await get(host, '/pages/secret', undefined, { cookie: pair })).status, 200)
})

void t.test('what a plugin throws or never answers is an answer all the same', async (t) => {
  let fails = 0
  const host = await startPages(t, ({ query, signal }) => {
    if ((query as Record<string, string>).throw) throw new Error(`secret ${fails++}`)
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('nobody waits'))))
  })
  const { sessionToken } = await host.client()
  const thrown = await get(host, '/pages?throw=1', sessionToken)
  t.equal(thrown.status, 500)
  t.notMatch(await thrown.text(), /secret/)
  // Eight at a time for all plugins; what is aborted makes room again.
  const abort = new AbortController()
  const hanging = Array.from({ length: 8 }, () =>
    fetch(`${host.url}/pages`, { headers: { authorization: `Bearer ${sessionToken}` }, signal: abort.signal }).catch(
      () => 'aborted',
    ),
  )
  let ninth = await get(host, '/pages', sessionToken)
  while (ninth.status !== 503) ninth = await get(host, '/pages?throw=1', sessionToken)
  t.equal(ninth.headers.get('retry-after'), '1')
  abort.abort()
  t.strictSame(new Set(await Promise.all(hanging)), new Set(['aborted']))
  let again = await statusOf(host, '/pages?throw=1', sessionToken)
  while (again === 503) again = await statusOf(host, '/pages?throw=1', sessionToken)
  t.equal(again, 500)
})

void t.test('somebody who asks too often waits; a plugin that does not run has no routes', async (t) => {
  const host = await startPages(t)
  const owner = await host.client('owner')
  let status = 200
  for (let i = 0; i < 61 && status === 200; i++) status = await statusOf(host, '/pages', owner.sessionToken)
  t.equal(status, 429)
  t.ok(Number((await get(host, '/pages', owner.sessionToken)).headers.get('retry-after')) >= 1)
  const other = await host.client('viewer')
  t.equal(await statusOf(host, '/pages', other.sessionToken), 200, 'others do not')
  await owner.ask('host:disable', { id: 'pages' })
  const off = await get(host, '/pages', other.sessionToken)
  t.equal(off.status, 503)
  t.match(await off.json(), { success: false, error: /pages is disabled/ })
  await owner.ask('host:enable', { id: 'pages' })
  t.equal(await statusOf(host, '/pages', other.sessionToken), 200)
})

void t.test('a declared route that is not served fails the start, and one that is not declared cannot be served', async (t) => {
  const host = await startPages(t, page, (context) => {
    t.throws(() => context.serve('GET /other', page), /has no route "GET \/other"/)
  })
  t.equal(host.host.status().find(({ id }) => id === 'pages')?.state, 'running')
  const start = () => {}
  await t.rejects(
    startLab(t, [{ contract: { id: 'lazy', routes }, start }]),
    /declares the route GET \/, which it does not serve/,
  )
  const wrong = { id: 'wrong', routes: { 'GET /a/': {} } }
  await t.rejects(startLab(t, [{ contract: wrong, start }]), /DELETE and a path/)
})

void t.test('healthz says which start of the daemon it is', async (t) => {
  const host = await startPages(t)
  const other = await startPages(t)
  const instance = async (of: TestHost) => (await fetch(`${of.url}/healthz`)).headers.get('x-patchbay-instance')
  t.equal(await instance(host), await instance(host))
  t.not(await instance(host), await instance(other))
})
