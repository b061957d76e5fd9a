import t from 'tap'
import { OneTimeLinks } from '../../../core/auth/one-time-link.ts'

const here = { peer: '127.0.0.1', host: '127.0.0.1:8080', forwarded: false }
const denied = { code: 'ACCESS_DENIED' }
const invalid = { code: 'AUTH_INVALID' }

void t.test('a link lets the local owner in, once', async (t) => {
  const links = new OneTimeLinks()
  const { code, expiresAt } = links.issue()
  t.match(code, /^[\w-]{43}$/)
  t.ok(Math.abs(expiresAt - Date.now() - 600_000) < 5000)
  t.strictSame(links.redeem(code, here), { userId: 'local:owner', user: { id: 0, firstName: 'Local owner' }, claims: {} })
  t.throws(() => links.redeem(code, here), invalid)
})

void t.test('a wrong code is refused and leaves the link as it was', async (t) => {
  const links = new OneTimeLinks()
  t.throws(() => links.redeem('x', here), invalid, 'before there is one')
  const { code } = links.issue()
  for (const wrong of [
    undefined,
    null,
    1,
    {},
    [code],
    '',
    code.slice(1),
    `${code}x`,
    `${code.startsWith('x') ? 'y' : 'x'}${code.slice(1)}`,
    'x'.repeat(1_000_000),
  ])
    t.throws(() => links.redeem(wrong, here), invalid)
  t.throws(() => links.redeem(code, { ...here, forwarded: true }), denied)
  t.equal(links.redeem(code, here).userId, 'local:owner')
})

void t.test('a link ends after 10 minutes', async (t) => {
  let elapsed = 5
  const links = new OneTimeLinks(() => elapsed)
  const { code } = links.issue()
  elapsed += 600_000
  t.throws(() => links.redeem(code, here), invalid)
  elapsed -= 1
  t.equal(links.redeem(code, here).userId, 'local:owner')
})

void t.test('a new link replaces the one before', async (t) => {
  const links = new OneTimeLinks()
  const old = links.issue({ lan: true })
  const { code } = links.issue()
  t.not(code, old.code)
  t.throws(() => links.redeem(old.code, here), invalid)
  t.throws(
    () => links.redeem(code, { peer: '192.168.1.2', host: '192.168.1.1', forwarded: false }),
    denied,
    'also in whom it lets in',
  )
  t.equal(links.redeem(code, here).userId, 'local:owner')
})

void t.test('a link works only from loopback, with a loopback Host, and directly', async (t) => {
  const links = new OneTimeLinks()
  const { code } = links.issue()
  for (const peer of ['', '10.0.0.2', '192.168.1.2', 'fe80::1', '8.8.8.8', '::ffff:192.168.1.2'])
    t.throws(() => links.redeem(code, { ...here, peer }), denied, peer)
  for (const host of [
    '',
    'pi.example.org',
    'localhost.example.org',
    '192.168.1.1:8080',
    '0.0.0.0',
    'localhost:x',
    '::1',
    '127.1',
  ])
    t.throws(() => links.redeem(code, { ...here, host }), denied, host)
  t.throws(() => links.redeem(code, { ...here, forwarded: true }), denied)
  for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1', '127.8.8.8:1', '[::1]', '[::1]:8080'])
    for (const peer of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])
      t.equal(links.redeem(links.issue().code, { peer, host, forwarded: false }).userId, 'local:owner', `${peer} ${host}`)
})

void t.test('a link for the local network works from private addresses too, by address', async (t) => {
  const links = new OneTimeLinks()
  const { code } = links.issue({ lan: true })
  for (const peer of ['8.8.8.8', '2001:db8::1', '::ffff:8.8.8.8', '100.64.0.1'])
    t.throws(() => links.redeem(code, { peer, host: '192.168.1.1', forwarded: false }), denied, peer)
  for (const host of ['pi.local', '8.8.8.8', '[2001:db8::1]', 'evil.example'])
    t.throws(() => links.redeem(code, { peer: '192.168.1.2', host, forwarded: false }), denied, host)
  t.throws(() => links.redeem(code, { peer: '192.168.1.2', host: '192.168.1.1', forwarded: true }), denied)
  const good = [
    ['192.168.1.2', '192.168.1.1:8080'],
    ['::ffff:10.0.0.2', '10.0.0.1'],
    ['fe80::2%wlan0', '[fd00::1]:8080'],
    ['172.20.0.2', 'localhost'],
    ['::1', '[::1]'],
    ['127.0.0.1', '169.254.3.4'],
  ] as const
  for (const [peer, host] of good)
    t.equal(
      links.redeem(links.issue({ lan: true }).code, { peer, host, forwarded: false }).userId,
      'local:owner',
      `${peer} ${host}`,
    )
})
