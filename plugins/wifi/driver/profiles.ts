import type { Properties } from './bus.ts'
import type { Family, Security } from './networks.ts'

/** A saved network: a connection profile of NetworkManager, as much of it as matters here. */
export interface Profile {
  readonly path: string
  readonly ssid: Buffer
  readonly family: Family
  readonly security: Security
  readonly hidden: boolean
  readonly autoconnect: boolean
  /** Seconds since 1970 when it was in use last; 0 for never. */
  readonly lastUsed: number
  /** What GetSettings said, without secrets. */
  readonly settings: Settings
}

export type Settings = Readonly<Record<string, Properties>>
/** An `a{sa{sv}}` as the bus takes it. */
export type Wire = Array<[group: string, Array<[key: string, [signature: string, value: unknown]]>]>

const kinds: Readonly<Record<string, readonly [Family, Security]>> = {
  none: ['wep', 'WEP'],
  'wpa-psk': ['psk', 'WPA2'],
  sae: ['psk', 'WPA3'],
  owe: ['owe', 'OWE'],
}

/** Undefined for what is no Wi-Fi network to join. */
export function profileOf(path: string, settings: Settings): Profile | undefined {
  const { connection = {}, '802-11-wireless': wireless, '802-11-wireless-security': security } = settings
  if (!wireless || !(wireless.ssid instanceof Uint8Array) || ['ap', 'adhoc', 'mesh'].includes(String(wireless.mode)))
    return undefined
  const [family, name] = security ? (kinds[String(security['key-mgmt'])] ?? ['enterprise', 'Enterprise']) : ['open', 'Open']
  return {
    path,
    ssid: Buffer.from(wireless.ssid),
    family: family as Family,
    security: name as Security,
    hidden: wireless.hidden === true,
    autoconnect: connection.autoconnect !== false,
    lastUsed: Number(connection.timestamp ?? 0),
    settings,
  }
}

export interface NewNetwork {
  readonly ssid: Buffer
  /** Shown by other tools as the profile's name. */
  readonly name: string
  readonly keyManagement?: 'wpa-psk' | 'sae' | 'owe'
  readonly password?: string
  readonly hidden: boolean
  /** What it replaces: its addresses and its wish to connect by itself go on. */
  readonly before?: Settings
}

/** What goes on, with its types: GetSettings' answer has none. */
const kept = {
  connection: { autoconnect: 'b', 'autoconnect-priority': 'i', metered: 'i' },
  ipv4: { method: 's', gateway: 's', 'dns-search': 'as', 'ignore-auto-dns': 'b', 'never-default': 'b', 'route-metric': 'x' },
  ipv6: { method: 's', gateway: 's', 'dns-search': 'as', 'ignore-auto-dns': 'b', 'never-default': 'b', 'route-metric': 'x' },
} as const

/** The settings of a new profile, for AddAndActivateConnection2. */
export function newSettings({ ssid, name, keyManagement, password, hidden, before = {} }: NewNetwork): Wire {
  const wire: Wire = [
    ['802-11-wireless', [['ssid', ['ay', ssid]], ...(hidden ? [['hidden', ['b', true]] as [string, [string, unknown]]] : [])]],
  ]
  if (keyManagement) {
    const psk: Wire[number][1] = password === undefined ? [] : [['psk', ['s', password]]]
    wire.push(['802-11-wireless-security', [['key-mgmt', ['s', keyManagement]], ...psk]])
  }
  for (const [group, types] of Object.entries(kept)) {
    const had = before[group] ?? {}
    const entries = Object.entries(types).flatMap(([key, type]): Wire[number][1] => (key in had ? [[key, [type, had[key]]]] : []))
    if (group === 'connection') entries.push(['id', ['s', name]])
    else entries.push(...addresses(had))
    if (entries.length > 0) wire.push([group, entries])
  }
  return wire
}

/** Addresses and name servers of an ipv4 or ipv6 group. */
function addresses(had: Properties): Wire[number][1] {
  const entries: Wire[number][1] = []
  const given = (had['address-data'] ?? []) as Array<{ address: string; prefix: number }>
  const data = given.map(({ address, prefix }) => [
    ['address', ['s', address]],
    ['prefix', ['u', prefix]],
  ])
  if (data.length > 0) entries.push(['address-data', ['aa{sv}', data]])
  if ('dns-data' in had) entries.push(['dns-data', ['as', had['dns-data']]])
  return entries
}

/** What WPA takes: 8 to 63 printable characters of ASCII, or 64 hexadecimal digits; WPA3 alone takes any text. */
export function isPassword(password: string, keyManagement: string): boolean {
  const bytes = Buffer.byteLength(password)
  if (keyManagement === 'sae') return bytes > 0 && bytes <= 64 && !/\p{Cc}/u.test(password)
  return /^[\x20-\x7e]{8,63}$/.test(password) || /^[\da-f]{64}$/i.test(password)
}
