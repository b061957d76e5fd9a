import { createHmac, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportJWK, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import type { TestHost } from '../../../core/testing/host.ts'
import { temporary } from '../lifecycle/lab.ts'
import { dial, type LooseContext, once, refusal, startLab } from '../wire/lab.ts'

t.setTimeout(180_000)

const contract: Contract = {
  id: 'vault',
  policy: 'jwt',
  commands: { open: { roles: ['keeper'], rate: { max: 1000, windowMs: 1000 } } },
  routes: { 'GET /': { roles: ['*'] }, 'POST /': { roles: ['*'] } },
}

/** A host with one plugin behind tokens. */
function startVault(t: Test, auth: object = {}, more: object = {}): Promise<TestHost> {
  const start = (context: LooseContext) => {
    context.handle('open', (_, { caller }) => ({ userId: caller.userId }))
    for (const method of ['GET', 'POST']) context.serve(`${method} /`, ({ caller }) => ({ json: caller }))
  }
  return startLab(t, [{ contract, start }], { auth: { vault: auth }, ...more })
}

const file = async (t: Test, name: string, content: string) => {
  const path = join(await temporary(t), name)
  await writeFile(path, content, { mode: 0o600 })
  return path
}

const rules = { issuer: 'https://id.example', audience: 'vault' }
type Signing = { key: KeyObject | Uint8Array; alg: string; header?: object; claims?: object; issuer?: string; audience?: string }

function sign({ key, alg, header = {}, claims = {}, issuer = rules.issuer, audience = rules.audience }: Signing) {
  const jwt = new SignJWT({
    sub: 'carol',
    role: 'keeper',
    exp: Math.floor(Date.now() / 1000) + 600,
    iss: issuer,
    aud: audience,
    ...claims,
  })
  return jwt.setProtectedHeader({ alg, ...header }).sign(key as Uint8Array)
}

const base64 = (value: object | string | Buffer) =>
  Buffer.from(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString('base64url')

/** What `open` is answered to the bearer, or with which word the door was shut. */
async function tryToken(t: Test, host: TestHost, token: unknown, options: object = {}): Promise<string> {
  const socket = dial(t, host, token === undefined ? {} : { token }, options, '/vault')
  const outcome = await Promise.race([
    once(socket, 'connect').then(async () => {
      const { userId, code } = (await socket.timeout(10_000).emitWithAck('open')) as { userId?: string; code?: string }
      return userId ?? code ?? ''
    }),
    once(socket, 'connect_error').then(([{ message }]) => String(message)),
  ])
  socket.close()
  return outcome
}

const statusOf = async (host: TestHost, init: RequestInit = {}) => (await fetch(`${host.url}/vault`, init)).status

void t.test('tokens of every algorithm, with keys from a file or a JWKS document, are taken for what they say', async (t) => {
  const secret = randomBytes(32).toString('hex')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed = generateKeyPairSync('ed25519')
  const pem = ({ publicKey }: { publicKey: KeyObject }) => publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(ec.publicKey)), kid: 'one', alg: 'ES256' }] })
  const cases: Array<[string, object, Signing]> = [
    [
      'HS256',
      { algorithms: ['HS256'], secretFile: await file(t, 'secret', `${secret}\n`) },
      { key: Buffer.from(secret), alg: 'HS256' },
    ],
    ['RS256', { algorithms: ['RS256'], keysFile: await file(t, 'rsa.pem', pem(rsa)) }, { key: rsa.privateKey, alg: 'RS256' }],
    ['EdDSA', { algorithms: ['EdDSA'], keysFile: await file(t, 'ed.pem', pem(ed)) }, { key: ed.privateKey, alg: 'EdDSA' }],
    [
      'ES256 of a JWKS',
      { algorithms: ['ES256', 'RS256'], keysFile: await file(t, 'jwks.json', jwks) },
      { key: ec.privateKey, alg: 'ES256', header: { kid: 'one' } },
    ],
  ]
  for (const [name, auth, signing] of cases) {
    const host = await startVault(t, { ...rules, ...auth })
    t.equal(await tryToken(t, host, await sign(signing)), 'jwt:carol', name)
    t.equal(
      await tryToken(t, host, await sign({ ...signing, claims: { role: ['guest', 'keeper'] } })),
      'jwt:carol',
      'one of its roles will do',
    )
    t.equal(await tryToken(t, host, await sign({ ...signing, claims: { role: '*' } })), 'FORBIDDEN', 'a role is no pattern')
    t.equal(await tryToken(t, host, await sign({ ...signing, claims: { role: undefined } })), 'FORBIDDEN')
    t.equal(await tryToken(t, host, await host.token('vault', ['keeper'])), 'jwt:alice', 'Patchbay’s own are taken beside them')
    for (const [wrong, claims] of Object.entries({
      'another audience': { aud: 'cellar' },
      'another issuer': { iss: 'https://id.evil' },
      'Patchbay as its issuer': { iss: 'patchbay' },
      'no end': { exp: undefined },
      'an end that is past': { exp: Math.floor(Date.now() / 1000) - 60 },
      'a beginning to come': { nbf: Math.floor(Date.now() / 1000) + 600 },
      'no subject': { sub: undefined },
      'a subject with a space': { sub: 'carol dave' },
    }))
      t.equal(await tryToken(t, host, await sign({ ...signing, claims })), 'AUTH_INVALID', `${name} with ${wrong}`)
  }
})

void t.test(
  'what was forged is refused: no algorithm, another one, a public key as a secret, keys that the token itself brings',
  async (t) => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const evil = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
    let asked = 0
    const server = createServer((_request, response) => {
      asked++
      void exportJWK(evil.publicKey).then((jwk) => response.end(JSON.stringify({ keys: [jwk] })))
    })
    await listen(t, server)
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
    const host = await startVault(t, { ...rules, algorithms: ['RS256'], keysFile: await file(t, 'rsa.pem', pem) })
    const good = await sign({ key: rsa.privateKey, alg: 'RS256' })
    t.equal(await tryToken(t, host, good), 'jwt:carol')
    const [header = '', body = '', signature = ''] = good.split('.')
    const hmac = (input: string, key: string) => createHmac('sha256', key).update(input).digest('base64url')
    const asHs = `${base64({ alg: 'HS256' })}.${body}`
    const own = `${base64({ alg: 'HS256' })}.${base64({ iss: 'patchbay', aud: 'vault', sub: 'carol', role: 'keeper', exp: 9e9 })}`
    const forged: Record<string, unknown> = {
      'without an algorithm': `${base64({ alg: 'none' })}.${body}.`,
      'without a signature': `${header}.${body}.`,
      'the public key as a secret': `${asHs}.${hmac(asHs, pem)}`,
      'the public key, trimmed': `${asHs}.${hmac(asHs, pem.trim())}`,
      'an empty secret': `${asHs}.${hmac(asHs, '')}`,
      'of Patchbay, which has made none yet': `${own}.${hmac(own, '')}`,
      'of Patchbay, without a signature': `${base64({ alg: 'none' })}.${own.split('.')[1]}.`,
      'another body': `${header}.${base64({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), sub: 'owner' })}.${signature}`,
      'another key': await sign({ key: evil.privateKey, alg: 'RS256' }),
      'another key that it brings as jwk': await sign({
        key: evil.privateKey,
        alg: 'RS256',
        header: { jwk: await exportJWK(evil.publicKey) },
      }),
      'another key at jku': await sign({ key: evil.privateKey, alg: 'RS256', header: { jku: url, kid: '1' } }),
      'another key at x5u': await sign({ key: evil.privateKey, alg: 'RS256', header: { x5u: url } }),
      'a strong algorithm that is not listed': await sign({ key: rsa.privateKey, alg: 'PS256' }),
      'what must be understood and is not': await sign({
        key: rsa.privateKey,
        alg: 'RS256',
        header: { crit: ['sugar'], sugar: true },
      }).catch(() => `${base64({ alg: 'RS256', crit: ['sugar'], sugar: true })}.${body}.${signature}`),
      'a number': 7,
      'a list': [good],
      'an object': { token: good },
      'no token at all': '',
      'three dots': '...',
      'a long text': 'a'.repeat(9000),
    }
    for (const [what, token] of Object.entries(forged)) t.equal(await tryToken(t, host, token), 'AUTH_INVALID', what)
    t.equal(asked, 0, 'nobody asked where the token said')
    t.equal(await tryToken(t, host, undefined), 'AUTH_REQUIRED')
    t.equal(await tryToken(t, host, null), 'AUTH_REQUIRED')
    t.notMatch(host.log.join(''), signature.slice(0, 40), 'no token is in the log')
  },
)

void t.test('a JWKS document comes from its URL alone, is fetched seldom, and no redirect is followed', async (t) => {
  const [one, two] = [generateKeyPairSync('ec', { namedCurve: 'P-256' }), generateKeyPairSync('ec', { namedCurve: 'P-256' })]
  const jwk = async ({ publicKey }: typeof one, kid: string) => ({ ...(await exportJWK(publicKey)), kid, alg: 'ES256' })
  let asked = 0
  let respond: (path: string) => { status?: number; location?: string; body: string } = () => ({ body: '' })
  const server = createServer((request, response) => {
    asked++
    const { status = 200, location, body } = respond(request.url ?? '')
    response.writeHead(status, { ...(location && { location }) }).end(body)
  })
  await listen(t, server)
  const place = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const keys = JSON.stringify({ keys: [await jwk(one, 'one')] })
  respond = () => ({ body: keys })
  const auth = { ...rules, algorithms: ['ES256'], jwksUrl: `${place}/jwks` }
  const host = await startVault(t, auth)
  const signed = (pair: typeof one, kid: string) => sign({ key: pair.privateKey, alg: 'ES256', header: { kid } })
  t.equal(await tryToken(t, host, await signed(one, 'one')), 'jwt:carol')
  for (let i = 0; i < 10; i++) t.equal(await tryToken(t, host, await signed(two, `no ${i}`)), 'AUTH_INVALID')
  t.equal(asked, 1, 'keys that are not known are not asked for again at once')

  asked = 0
  respond = (path) => (path === '/jwks' ? { status: 302, location: `${place}/elsewhere`, body: '' } : { body: keys })
  const led = await startVault(t, auth)
  t.equal(await tryToken(t, led, await signed(one, 'one')), 'AUTH_INVALID')
  t.equal(asked, 1, 'the other place was not asked')
  t.match(led.log.join(''), /the keys for tokens cannot be had/)

  respond = () => ({ body: `{"keys":[],"long":"${'x'.repeat(300_000)}"}` })
  const long = await startVault(t, auth)
  t.equal(await tryToken(t, long, await signed(one, 'one')), 'AUTH_INVALID')
  t.match(long.log.join(''), /More than 262144 bytes of keys/)
})

void t.test('a token comes in the handshake, in a header, or as a cookie of our own pages', async (t) => {
  const host = await startVault(t, { cookie: 'accessToken' })
  const token = await host.token('vault', ['keeper'])
  const cookie = `theme=dark; accessToken=${token}`
  const headers = (extraHeaders: Record<string, string>) => ({ extraHeaders })
  t.equal(await tryToken(t, host, undefined, headers({ authorization: `Bearer ${token}` })), 'jwt:alice')
  t.equal(await tryToken(t, host, undefined, headers({ cookie, origin: host.url })), 'jwt:alice')
  t.equal(await tryToken(t, host, undefined, headers({ cookie, 'sec-fetch-site': 'same-origin' })), 'jwt:alice')
  t.equal(await tryToken(t, host, undefined, headers({ cookie })), 'AUTH_REQUIRED', 'nobody says which page')
  t.equal(await tryToken(t, host, undefined, headers({ cookie, 'sec-fetch-site': 'cross-site' })), 'AUTH_REQUIRED')
  t.equal(await tryToken(t, host, undefined, headers({ cookie: `accesstoken=${token}`, origin: host.url })), 'AUTH_REQUIRED')
  t.equal(await statusOf(host, { headers: { cookie } }), 401)
  t.equal(await statusOf(host, { headers: { cookie, 'sec-fetch-site': 'same-origin' } }), 200)
  t.equal(await statusOf(host, { method: 'POST', headers: { cookie, origin: host.url } }), 200)
  t.equal(await statusOf(host, { method: 'POST', headers: { cookie, origin: 'https://evil.example' } }), 403)
  t.equal(await statusOf(host, { method: 'POST', headers: { cookie } }), 401)
  t.equal(await statusOf(host, { headers: { authorization: `Bearer ${token}` } }), 200)
  const plain = await startVault(t)
  const other = `accessToken=${await plain.token('vault', ['keeper'])}`
  t.equal(
    await tryToken(t, plain, undefined, headers({ cookie: other, origin: plain.url })),
    'AUTH_REQUIRED',
    'only where it is configured',
  )
})

void t.test('the first tokens, issued at once, are all of one key', async (t) => {
  const host = await startVault(t)
  const tokens = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((subject) => host.token('vault', ['keeper'], { subject })))
  const known = await Promise.all(tokens.map((token) => tryToken(t, host, token)))
  t.same(known, ['jwt:a', 'jwt:b', 'jwt:c', 'jwt:d', 'jwt:e'])
  t.same(await readdir(join(host.dataDir, 'jwt/vault')), ['key'])
})

void t.test('keys of its own are the plugin’s alone, and lie where only the daemon reads', async (t) => {
  const host = await startVault(t)
  await t.rejects(readdir(join(host.dataDir, 'jwt')), { code: 'ENOENT' }, 'there is none before it is needed')
  const token = await host.token('vault', ['keeper'])
  const key = join(host.dataDir, 'jwt', 'vault', 'key')
  t.equal((await stat(key)).mode & 0o777, 0o600)
  t.equal(await tryToken(t, host, token), 'jwt:alice')
  const other = await startVault(t)
  await other.token('vault', [])
  t.equal(await tryToken(t, other, token), 'AUTH_INVALID', 'another host has another')
  await writeFile(key, 'short')
  t.equal(await tryToken(t, host, token), 'AUTH_INVALID', 'a secret that can be guessed is none')
  t.match(host.log.join(''), /fewer than 32 bytes/)
  t.notMatch(host.log.join(''), /"short"/)
  await t.rejects(host.token('system', []), /no plugin "system" that takes such tokens/)
  await t.rejects(host.token('vault', [], { lifetimeS: 0 }), /A lifetime is 1 to/)
  const none = await startVault(t, { own: false })
  await t.rejects(none.token('vault', []), /makes no tokens/)
})

void t.test('other keys in plugins.json end what was done with the ones before', async (t) => {
  const host = await startVault(t)
  const token = await host.token('vault', ['keeper'])
  const socket = dial(t, host, { token }, {}, '/vault')
  await once(socket, 'connect')
  const plugins = JSON.parse(await readFile(join(host.configDir, 'plugins.json'), 'utf8')) as { plugins: Record<string, object> }
  const gone = once(socket, 'disconnect')
  await host.writeConfig('plugins', {
    plugins: { ...plugins.plugins, vault: { ...plugins.plugins.vault, auth: { own: false } } },
  })
  await gone
  t.equal(await tryToken(t, host, token), 'AUTH_INVALID')
})

void t.test('a file of keys that is missing lets nobody in, and is read when it is there', async (t) => {
  const secret = randomBytes(32).toString('hex')
  const secretFile = join(await temporary(t), 'secret')
  const host = await startVault(t, { ...rules, algorithms: ['HS256'], secretFile })
  const token = await sign({ key: Buffer.from(secret), alg: 'HS256' })
  t.equal(await tryToken(t, host, token), 'AUTH_INVALID')
  await writeFile(secretFile, secret, { mode: 0o600 })
  t.equal(await tryToken(t, host, token), 'jwt:carol')
})

void t.test('what was revoked stays so, and as long as nobody can tell what was, nothing is good', async (t) => {
  const host = await startVault(t)
  const place = join(host.dataDir, 'jwt', 'vault')
  await mkdir(place, { recursive: true })
  await writeFile(join(place, 'revoked.json'), '{"sub alice":')
  t.match(await refusal(t, host, { token: await host.token('vault', ['keeper']) }, {}, '/vault'), { message: 'AUTH_INVALID' })
  await writeFile(join(place, 'revoked.json'), JSON.stringify({ 'sub alice': Date.now() / 1000 }))
  t.equal(await tryToken(t, host, await host.token('vault', ['keeper'], { subject: 'bob' })), 'jwt:bob', 'mended, it is read')
})

async function listen(t: Test, server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => void server.close())
}
