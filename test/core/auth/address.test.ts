import t from 'tap'
import { addressKey, hostName, isForwarded, isLoopback, isPrivate } from '../../../core/auth/address.ts'

void t.test('loopback is 127.0.0.0/8 and ::1 in any notation, and no name', async (t) => {
  for (const yes of ['127.0.0.1', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::FFFF:7f00:1', '::1%lo'])
    t.ok(isLoopback(yes), yes)
  for (const no of [
    '126.255.255.255',
    '128.0.0.1',
    '::',
    '::2',
    '::ffff:10.0.0.1',
    '0.0.0.0',
    'localhost',
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    '127.0.0.1.example.org',
    '',
    '127.0.0.1 ',
  ])
    t.notOk(isLoopback(no), no)
})

void t.test('private are RFC 1918, link-local and unique local addresses', async (t) => {
  const yes = [
    '10.0.0.1',
    '10.255.255.255',
    '172.16.0.0',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.1.1',
    'fc00::1',
    'fdff::1',
    'fe80::1%eth0',
    'febf::1',
    '::ffff:192.168.1.1',
    '::ffff:a00:1',
  ]
  for (const address of yes) t.ok(isPrivate(address), address)
  const no = [
    '9.255.255.255',
    '11.0.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '169.253.0.1',
    '8.8.8.8',
    '100.64.0.1',
    '127.0.0.1',
    '::1',
    'fbff::1',
    'fec0::1',
    '2001:db8::1',
    '::ffff:8.8.8.8',
    'pi.local',
    '',
  ]
  for (const address of no) t.notOk(isPrivate(address), address)
})

void t.test('any header that a proxy or tunnel adds shows that a request was forwarded', async (t) => {
  const names = [
    'forwarded',
    'via',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded',
    'x-original-forwarded-for',
    'x-real-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'true-client-ip',
    'cf-connecting-ip',
    'cf-ray',
    'cdn-loop',
    'fastly-client-ip',
    'fly-client-ip',
    'tailscale-user-login',
    'X-Forwarded-For',
  ]
  for (const name of names) t.ok(isForwarded({ host: 'localhost', [name]: '' }), name)
  t.notOk(
    isForwarded({
      host: 'localhost',
      origin: 'http://localhost',
      'user-agent': 'x',
      'x-forwarde': '',
      'my-via': '',
      viaduct: '',
    }),
  )
})

void t.test('a Host header is split into name and port', async (t) => {
  const good = {
    localhost: 'localhost',
    'LocalHost:8080': 'localhost',
    '127.0.0.1:1': '127.0.0.1',
    '[::1]': '::1',
    '[FD00::1]:65535': 'fd00::1',
    'my_pi.local:80': 'my_pi.local',
    '[::ffff:127.0.0.1]:8080': '::ffff:127.0.0.1',
  }
  for (const [header, name] of Object.entries(good)) t.equal(hostName(header), name, header)
  const bad = [
    '',
    ':80',
    'a:',
    'a:b',
    'a:65536',
    'a:123456',
    '::1',
    '[::1',
    '::1]',
    '[::1]x',
    '[]',
    '[1.2.3.4]',
    '[fe80::1%eth0]',
    '[:::]',
    'a b',
    'a/b',
    'u@localhost',
    'localhost\n',
    'localhost,evil.example',
    'x'.repeat(254),
  ]
  for (const header of bad) t.equal(hostName(header), undefined, header)
})

void t.test('limits count IPv4 addresses one by one and IPv6 by the /64', async (t) => {
  const keys = {
    '203.0.113.7': '203.0.113.7',
    '::ffff:203.0.113.7': '203.0.113.7',
    '::FFFF:cb00:7107': '203.0.113.7',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:0DB8:1:2::9': '2001:db8:1:2::/64',
    '2001:db8::9': '2001:db8:0:0::/64',
    '1::2:3:4:5:6': '1:0:0:2::/64',
    '::2:3:4:5:6:7': '0:0:2:3::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '2001:db8:1:2::/64': '2001:db8:1:2::/64',
    '': '',
    unix: 'unix',
  }
  for (const [address, key] of Object.entries(keys)) t.equal(addressKey(address), key, address)
})
