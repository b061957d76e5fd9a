import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { Guard, type GuardSettings } from '../../../core/http/guard.ts'

const settings: GuardSettings = { hosts: [], origins: [], trustedProxies: [] }
const guard = (more: Partial<GuardSettings> = {}) => {
  const current = { ...settings, ...more }
  return new Guard(() => current)
}
/** A request as the guard sees it. */
const request = (headers: Record<string, string>, remoteAddress = '127.0.0.1', localAddress = '127.0.0.1') =>
  ({
    headers: { host: 'localhost', ...headers },
    socket: { remoteAddress, localAddress },
    connection: { remoteAddress },
  }) as unknown as IncomingMessage
const isServed = (guard: Guard, headers: Record<string, string>, localAddress?: string) =>
  guard.problem(request(headers, undefined, localAddress)) === undefined

void t.test('a Host is known that means this machine, or that the configuration names', async (t) => {
  const open = guard({ publicUrl: 'https://pi.example:8443/', hosts: ['pi.local'] })
  for (const host of [
    'localhost',
    'LocalHost:8080',
    '127.0.0.1:8080',
    '127.8.9.1',
    '[::1]:8080',
    'pi.example',
    'PI.example:8443',
    'pi.local',
    'pi.local:80',
  ])
    t.ok(isServed(open, { host }), host)
  for (const host of [
    '',
    'evil.example',
    'localhost.evil.example',
    'evil-localhost',
    'localhost.',
    '127.0.0.1.evil.example',
    '128.0.0.1',
    '[::2]',
    '::1',
    'pi.example.evil',
    'a pi.example',
    'pi.example/',
    'pi.example@evil',
    'localhost:99999',
    'localhost:8080:1',
    '0.0.0.0',
    '192.168.1.5',
  ])
    t.notOk(isServed(open, { host }), host)
  t.notOk(isServed(guard(), { host: 'pi.example' }), 'what is not configured is foreign')
  t.ok(isServed(guard({ publicUrl: 'http://[fd00::7]:8080' }), { host: '[fd00::7]:8080' }))
  t.equal(
    guard().problem({ headers: {}, socket: {} } as IncomingMessage),
    'This Host is not one that host.json names (publicUrl, hosts).',
    'none at all',
  )
})

void t.test('an address is a known Host where the request arrived at it, as no name can be rebound to it', async (t) => {
  t.ok(isServed(guard(), { host: '192.168.1.5:8080' }, '192.168.1.5'))
  t.ok(isServed(guard(), { host: '192.168.1.5:8080' }, '::ffff:192.168.1.5'))
  t.ok(isServed(guard(), { host: '[fd00::7]' }, 'fd00::7'))
  t.notOk(isServed(guard(), { host: '192.168.1.6' }, '192.168.1.5'))
  t.notOk(isServed(guard(), { host: 'rebound.example' }, '192.168.1.5'))
})

void t.test('an Origin is known that means this machine, or that the configuration names', async (t) => {
  const open = guard({ publicUrl: 'https://pi.example/patchbay', origins: ['https://app.example', 'http://app.example:81'] })
  for (const origin of [
    'http://localhost',
    'https://localhost:5173',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
    'https://pi.example',
    'https://app.example',
    'http://app.example:81',
  ])
    t.ok(isServed(open, { origin }), origin)
  for (const origin of [
    '',
    'null',
    'file://',
    'https://evil.example',
    'http://pi.example',
    'https://pi.example:444',
    'http://app.example',
    'https://app.example:82',
    'https://sub.app.example',
    'https://pi.example.evil',
    'http://localhost.evil.example',
    'http://localhost@evil.example',
    'ftp://localhost',
    'capacitor://localhost',
    'http://192.168.1.5',
    'localhost',
    'https://pi.example/',
    'javascript:alert(1)',
  ])
    t.notOk(isServed(open, { origin }), origin)
  t.ok(isServed(open, {}), 'a client that is no browser has none')
  t.equal(open.problem(request({ origin: 'null' })), 'This Origin is not one that host.json names (publicUrl, origins).')
})

void t.test('forwarding headers count only from listed proxies, read from the right', async (t) => {
  const address = (trustedProxies: string[], header: string, peer = '127.0.0.1') =>
    guard({ trustedProxies }).addressOf(request({ 'x-forwarded-for': header }, peer))
  t.equal(address([], '203.0.113.7'), '127.0.0.1', 'nobody is listed')
  t.equal(address(['10.0.0.1'], '203.0.113.7'), '127.0.0.1', 'another is listed')
  t.equal(address(['127.0.0.1'], '203.0.113.7'), '203.0.113.7')
  t.equal(address(['127.0.0.1'], '198.51.100.1, 203.0.113.7'), '203.0.113.7', 'what stands further left may be forged')
  t.equal(address(['127.0.0.1', '10.0.0.0/8'], '198.51.100.1, 203.0.113.7, 10.1.2.3'), '203.0.113.7', 'a chain of proxies')
  t.equal(address(['127.0.0.1', '10.0.0.0/8'], '10.1.2.3'), '10.1.2.3', 'nothing but proxies')
  t.equal(address(['127.0.0.1'], '203.0.113.7', '203.0.113.9'), '203.0.113.9', 'the peer is no proxy')
  t.equal(guard().addressOf({ headers: {}, socket: {}, connection: {} } as IncomingMessage), '', 'a peer that has gone')
})

void t.test('a change of the list counts for the next request', async (t) => {
  let current: GuardSettings = settings
  const live = new Guard(() => current)
  const forwarded = request({ 'x-forwarded-for': '203.0.113.7' })
  t.equal(live.addressOf(forwarded), '127.0.0.1')
  current = { ...settings, trustedProxies: ['127.0.0.0/8'] }
  t.equal(live.addressOf(forwarded), '203.0.113.7')
})

void t.test('remembers which names requests came for in vain: the last few, each with how often', (t) => {
  const guarded = guard()
  for (let i = 0; i < 20; i++) isServed(guarded, { host: `tunnel-${i}.example` })
  for (const host of ['tunnel-15.example', 'not a host', 'localhost', 'pi.example']) isServed(guarded, { host })
  const names = [...guarded.refusedHosts].map(([name, { count }]) => `${name} ${count}`)
  const [thirteenth, ...later] = ['13', '14', '16', '17', '18', '19'].map((number) => `tunnel-${number}.example 1`)
  t.notOk(names.includes(String(thirteenth)))
  t.strictSame(names, [...later.slice(0, 5), 'tunnel-15.example 2', ' 1', 'pi.example 1'])
  t.end()
})

void t.test('a page of ours may ask from wherever it was opened, and a page elsewhere on the same machine may not', (t) => {
  const listed = guard({ hosts: ['pi.local'] })
  t.ok(isServed(listed, { host: 'pi.local:8080', origin: 'http://pi.local:8080' }))
  t.ok(isServed(listed, { host: '10.0.0.2:8080', origin: 'http://10.0.0.2:8080' }, '10.0.0.2'))
  t.ok(isServed(listed, { host: '10.0.0.2', origin: 'https://10.0.0.2' }, '10.0.0.2'))
  t.notOk(isServed(listed, { host: 'pi.local:8080', origin: 'http://pi.local:9000' }))
  t.notOk(isServed(listed, { host: 'pi.local:8080', origin: 'http://evil.example:8080' }))
  t.notOk(isServed(listed, { host: 'evil.example', origin: 'http://evil.example' }), 'a name that is not ours')
  t.end()
})
