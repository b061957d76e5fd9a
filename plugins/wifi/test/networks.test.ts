import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { arrivedOver } from '../driver/arrival.ts'
import { choose, type Wish } from '../driver/choice.ts'
import { type AccessPoint, bandOf, channelOf, networks, type Security, securityOf } from '../driver/networks.ts'
import { isPassword, newSettings, type Profile, profileOf } from '../driver/profiles.ts'
import { ssidBytes, ssidText } from '../driver/ssid.ts'

void t.test('an SSID is shown as text, with what is none escaped, and comes back as the bytes that it was', async (t) => {
  const shown: ReadonlyArray<readonly [Buffer, string]> = [
    [Buffer.from('Café 😀 👨‍👩‍👧'), 'Café 😀 👨‍👩‍👧'],
    [Buffer.from([0x63, 0x61, 0x66, 0xe9]), 'caf\\xe9'],
    [Buffer.from([0xff, 0xfe, 0]), '\\xff\\xfe\\x00'],
    [Buffer.from('a\nb\u001b[31m'), 'a\\x0ab\\x1b[31m'],
    [Buffer.from('pay\u202elap'), 'pay\\xe2\\x80\\xaelap'],
    [Buffer.from('zero\u200bwidth'), 'zero\\xe2\\x80\\x8bwidth'],
    [Buffer.from('back\\slash'), 'back\\slash'],
    [Buffer.from('caf\\xe9'), 'caf\\x5cxe9'],
    [Buffer.from([0x5c, 0x78, 0xe9]), '\\x\\xe9'],
    [Buffer.from([0xf0, 0x9f]), '\\xf0\\x9f'],
  ]
  for (const [bytes, text] of shown) {
    t.equal(ssidText(bytes), text)
    t.same(ssidBytes(text), bytes, text)
  }
  for (let tries = 0; tries < 2000; tries++) {
    const alphabet = [0x5c, 0x78, 0x65, 0x39, 0xc3, 0xa9, 0xe2, 0x80, 0xae, 0xff, 0]
    const bytes = Buffer.from(Array.from({ length: tries % 32 }, () => alphabet[Math.floor(Math.random() * 11)] as number))
    if (!ssidBytes(ssidText(bytes)).equals(bytes)) t.fail(bytes.toString('hex'))
  }
})

void t.test('security is told from the flags of an access point', async (t) => {
  const told = (Flags: number, WpaFlags: number, RsnFlags: number) => securityOf({ Flags, WpaFlags, RsnFlags })
  t.equal(told(0, 0, 0), 'Open')
  t.equal(told(1, 0, 0), 'WEP')
  t.equal(told(1, 0x108, 0), 'WPA')
  t.equal(told(1, 0x104, 0x108), 'WPA2')
  t.equal(told(1, 0, 0x188), 'WPA2')
  t.equal(told(1, 0, 0x488), 'WPA3')
  t.equal(told(1, 0, 0x588), 'WPA2/WPA3')
  t.equal(told(1, 0, 0x288), 'Enterprise')
  t.equal(told(1, 0, 0x2088), 'Enterprise')
  t.equal(told(0, 0, 0x888), 'OWE')
  t.equal(told(0, 0, 0x1000), 'OWE')
})

void t.test('channels and bands are told from the frequency', async (t) => {
  const told = [2412, 2472, 2484, 5180, 5825, 5885, 5935, 5955, 7115].map((mhz) => [mhz, channelOf(mhz), bandOf(mhz)])
  t.same(told, [
    [2412, 1, '2.4 GHz'],
    [2472, 13, '2.4 GHz'],
    [2484, 14, '2.4 GHz'],
    [5180, 36, '5 GHz'],
    [5825, 165, '5 GHz'],
    [5885, 177, '5 GHz'],
    [5935, 2, '6 GHz'],
    [5955, 1, '6 GHz'],
    [7115, 233, '6 GHz'],
  ])
})

const point = (ssid: string, security: Security, signal = 50, path = `/${ssid}/${security}/${signal}`): AccessPoint => ({
  path,
  ssid: Buffer.from(ssid),
  bssid: '02:00:00:00:00:01',
  signal,
  frequency: 2437,
  security,
})
const saved = (ssid: string, family: Profile['family'], lastUsed = 1): Profile => ({
  path: `/saved/${ssid}/${family}/${lastUsed}`,
  ssid: Buffer.from(ssid),
  family,
  security: family === 'psk' ? 'WPA2' : 'Open',
  hidden: false,
  autoconnect: true,
  lastUsed,
  settings: {},
})

void t.test(
  'of the access points of a name one is shown: the one in use, else of the kind that is saved, else the strongest',
  async (t) => {
    const points = [point('a', 'WPA2', 30), point('a', 'WPA2', 60), point('a', 'Open', 90), point('b', 'Enterprise', 95)]
    const show = (inUse?: string, profiles: Profile[] = []) =>
      networks(points, inUse, profiles).map(({ ssid, security, signal, connected }) => [ssid, security, signal, connected])
    t.same(show(), [
      ['b', 'Enterprise', 95, false],
      ['a', 'Open', 90, false],
    ])
    t.same(show(undefined, [saved('a', 'psk')])[1], ['a', 'WPA2', 60, false])
    t.same(show(points[0]?.path, [saved('a', 'psk')]), [
      ['a', 'WPA2', 30, true],
      ['b', 'Enterprise', 95, false],
    ])
    const [b, a] = networks(points, undefined, [])
    t.match(a, { securities: ['Open', 'WPA2'], saved: false, supported: true, channel: 6, band: '2.4 GHz' })
    t.match(b, { supported: false, securities: undefined })
    t.match(networks(points, undefined, [saved('b', 'enterprise')])[0], { ssid: 'b', saved: true, supported: true })
  },
)

void t.test('5,000 access points become a list of the 200 strongest networks', async (t) => {
  const points = Array.from({ length: 5000 }, (_, index) => point(`n${index}`, 'WPA2', index % 101))
  const list = networks(points, '/n7/WPA2/7', [])
  t.equal(list.length, 200)
  t.match(list[0], { ssid: 'n7', connected: true })
  t.ok(list.slice(1).every(({ signal }) => signal >= 96))
})

const code = (work: () => unknown): string => {
  try {
    return JSON.stringify(work())
  } catch (error) {
    return (error as { code: string }).code
  }
}
const decide = (wish: Omit<Wish, 'ssid'>, points: AccessPoint[], profiles: Profile[] = []) => {
  const choice = choose(Buffer.from('a'), { ssid: 'a', ...wish }, points, profiles)
  if (choice === 'not in sight') return choice
  const { profile, network, target, replaces } = choice
  return {
    ...(profile ? { by: profile.path } : { key: network.keyManagement ?? 'open', hidden: network.hidden }),
    target,
    replaces: replaces.length,
  }
}

void t.test('without a password a saved network is joined by what is saved, else an open one', async (t) => {
  t.same(decide({}, [point('a', 'WPA2')], [saved('a', 'psk', 1), saved('a', 'psk', 2), saved('b', 'psk', 3)]), {
    by: '/saved/a/psk/2',
    target: '/a/WPA2/50',
    replaces: 0,
  })
  t.match(decide({}, [], [saved('a', 'psk')]), { by: '/saved/a/psk/1', target: '/' })
  t.match(decide({ password: '' }, [point('a', 'Open')]), { key: 'open', target: '/a/Open/50', hidden: false })
  t.match(decide({}, [point('a', 'Open', 90), point('a', 'OWE', 10)]), { key: 'owe', target: '/a/OWE/10' })
  t.match(decide({ hidden: true }, []), { key: 'open', target: '/', hidden: true })
  t.match(decide({}, [point('a', 'Enterprise')], [saved('a', 'enterprise')]), { by: '/saved/a/enterprise/1' })
  t.equal(decide({}, [point('b', 'Open')]), 'not in sight')
})

void t.test('an open twin of a secured network is not joined', async (t) => {
  t.equal(
    code(() => decide({}, [point('a', 'Open', 99)], [saved('a', 'psk')])),
    'WIFI_TWIN',
  )
  t.equal(
    code(() => decide({}, [point('a', 'Open', 99)], [saved('a', 'psk'), saved('a', 'open')])),
    'WIFI_TWIN',
  )
  t.equal(
    code(() => decide({ password: 'correcthorse' }, [point('a', 'Open', 99)])),
    'WIFI_TWIN',
  )
  t.equal(
    code(() => decide({}, [point('a', 'Open', 99), point('a', 'WPA2', 5)])),
    'WIFI_PASSWORD_REQUIRED',
  )
  t.match(decide({}, [point('a', 'Open', 99), point('a', 'WPA2', 5)], [saved('a', 'psk')]), { target: '/a/WPA2/5' })
  t.match(decide({ password: 'correcthorse' }, [point('a', 'Open', 99), point('a', 'WPA3', 5)]), {
    key: 'sae',
    target: '/a/WPA3/5',
  })
})

void t.test('a password makes a new profile, which stands for those before', async (t) => {
  const password = 'correcthorse'
  t.same(decide({ password }, [point('a', 'WPA2/WPA3')], [saved('a', 'psk'), saved('a', 'open')]), {
    key: 'wpa-psk',
    hidden: false,
    target: '/a/WPA2/WPA3/50',
    replaces: 1,
  })
  t.match(decide({ password, hidden: true }, []), { key: 'wpa-psk', hidden: true, target: '/' })
  t.match(decide({ password, hidden: true, security: 'WPA3' }, []), { key: 'sae', hidden: true })
  t.equal(decide({ password }, []), 'not in sight')
  for (const wrong of ['short', 'x'.repeat(64), 'ümläut-password']) {
    t.equal(
      code(() => decide({ password: wrong }, [point('a', 'WPA2')])),
      'WIFI_PASSWORD_INVALID',
      wrong,
    )
    t.ok(isPassword(wrong, 'sae'), 'WPA3 takes it')
  }
  t.ok(isPassword('f'.repeat(64), 'wpa-psk'))
  t.notOk(isPassword('a\0b', 'sae'))
  t.equal(
    code(() => decide({ password }, [point('a', 'Enterprise')])),
    'WIFI_UNSUPPORTED',
  )
  t.equal(
    code(() => decide({}, [point('a', 'WEP')])),
    'WIFI_UNSUPPORTED',
  )
  t.equal(
    code(() => decide({ hidden: true, security: 'WPA3' }, [])),
    'WIFI_PASSWORD_REQUIRED',
  )
})

void t.test('a profile is told from its settings; what is no network to join is none', async (t) => {
  const wireless = { ssid: Buffer.from('a') }
  const family = (security?: object, more = {}) =>
    profileOf('/1', {
      '802-11-wireless': { ...wireless, ...more },
      ...(security && { '802-11-wireless-security': { ...security } }),
    })?.family
  t.equal(family(), 'open')
  t.equal(family({ 'key-mgmt': 'none' }), 'wep')
  t.equal(family({ 'key-mgmt': 'wpa-psk' }), 'psk')
  t.equal(family({ 'key-mgmt': 'sae' }), 'psk')
  t.equal(family({ 'key-mgmt': 'owe' }), 'owe')
  t.equal(family({ 'key-mgmt': 'wpa-eap' }), 'enterprise')
  t.equal(family(undefined, { mode: 'ap' }), undefined)
  t.equal(family(undefined, { ssid: 'text' }), undefined)
  t.equal(profileOf('/1', { connection: { type: 'ethernet' } }), undefined)
})

void t.test('a new profile keeps the addresses of the one that it stands for, and not its secrets', async (t) => {
  const before = {
    connection: { id: 'old', uuid: 'x', autoconnect: false, 'autoconnect-priority': 5 },
    '802-11-wireless-security': { psk: 'old' },
    ipv4: {
      method: 'manual',
      'address-data': [{ address: '10.0.0.5', prefix: 24 }],
      gateway: '10.0.0.1',
      'dns-data': ['1.1.1.1'],
    },
  }
  const ssid = Buffer.from('a')
  t.same(newSettings({ ssid, name: 'a', keyManagement: 'wpa-psk', password: 'new-password', hidden: true, before }), [
    [
      '802-11-wireless',
      [
        ['ssid', ['ay', ssid]],
        ['hidden', ['b', true]],
      ],
    ],
    [
      '802-11-wireless-security',
      [
        ['key-mgmt', ['s', 'wpa-psk']],
        ['psk', ['s', 'new-password']],
      ],
    ],
    [
      'connection',
      [
        ['autoconnect', ['b', false]],
        ['autoconnect-priority', ['i', 5]],
        ['id', ['s', 'a']],
      ],
    ],
    [
      'ipv4',
      [
        ['method', ['s', 'manual']],
        ['gateway', ['s', '10.0.0.1']],
        [
          'address-data',
          [
            'aa{sv}',
            [
              [
                ['address', ['s', '10.0.0.5']],
                ['prefix', ['u', 24]],
              ],
            ],
          ],
        ],
        ['dns-data', ['as', ['1.1.1.1']]],
      ],
    ],
  ])
})

void t.test(
  'where a connection came in is told by the address that it was made to, through a tunnel by the default route',
  async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'patchbay-routes-'))
    t.teardown(() => rm(directory, { recursive: true }))
    const table = async (name: string, text: string) => {
      await writeFile(join(directory, name), text)
      return join(directory, name)
    }
    const v4 = { name: 0, zeros: [1, 7], metric: 6, base: 10 }
    const v6 = { name: 9, zeros: [0, 1], metric: 5, base: 16 }
    const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n'
    const routes = `wlan0\t00000000\t0100000A\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
usb0\t0000000A\t00000000\t0001\t0\t0\t1\t00FFFFFF\t0\t0\t0\n`
    const zero = '0'.repeat(32)
    const six = `${zero} 00 ${zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003    wlan1
${zero} 00 ${zero} 00 ${zero} ffffffff 00000001 00000000 00200200       lo\n`
    const full = { ...v4, file: await table('full', header + routes) }
    const empty = { ...v4, file: await table('empty', header) }
    const sixth = { ...v6, file: await table('six', six) }
    const missing = { ...v4, file: join(directory, 'missing') }
    for (const local of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '']) t.equal(await arrivedOver(local, [full, sixth]), 'eth0')
    t.equal(await arrivedOver('127.0.0.1', [empty, sixth]), 'wlan1')
    t.equal(await arrivedOver('127.0.0.1', [missing, empty]), undefined)
    const own = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
      addresses.filter(({ internal }) => !internal).map(({ address }) => [name, address] as const),
    )
    for (const [name, address] of own) t.equal(await arrivedOver(address, [missing]), name)
    for (const [name, address] of own.filter(([, address]) => address.includes('.')))
      t.equal(await arrivedOver(`::ffff:${address}`, [missing]), name)
  },
)
