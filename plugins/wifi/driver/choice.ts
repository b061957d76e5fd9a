import { WifiError } from './failure.ts'
import { type AccessPoint, type Family, familyOf } from './networks.ts'
import { isPassword, type NewNetwork, type Profile } from './profiles.ts'

export interface Wish {
  /** As shown. */
  readonly ssid: string
  readonly password?: string
  /** It does not tell its name. */
  readonly hidden?: boolean
  /** Of a hidden network: WPA2 is meant otherwise. */
  readonly security?: 'WPA2' | 'WPA3'
}

/** How to join a network: by this profile, or by a new one. */
export interface Choice {
  readonly profile?: Profile
  readonly network: Pick<NewNetwork, 'ssid' | 'keyManagement' | 'password' | 'hidden'>
  /** An access point, or `/` for whichever NetworkManager finds. */
  readonly target: string
  /** Profiles that the new one stands for. */
  readonly replaces: readonly Profile[]
}

const unsupported: Partial<Record<Family, string>> = {
  enterprise:
    'The network asks for a user of its own (WPA Enterprise), which Patchbay cannot set up. Once saved by another tool it can be joined.',
  wep: 'The network is secured by WEP, which is broken and which no current system joins.',
}

/**
 * Decides how to join what `ssid` names. Never does a network that is saved as secured, or that is not saved and whose secured access
 * points are in sight, become an open one: somebody may have put up a twin of its name. Throws a WifiError.
 */
export function choose(
  ssid: Buffer,
  wish: Wish,
  points: readonly AccessPoint[],
  profiles: readonly Profile[],
): Choice | 'not in sight' {
  const seen = points.filter((point) => point.ssid.equals(ssid)).sort((a, b) => b.signal - a.signal)
  const saved = profiles.filter((profile) => profile.ssid.equals(ssid)).sort((a, b) => b.lastUsed - a.lastUsed)
  return wish.password ? withPassword(ssid, wish, wish.password, seen, saved) : withoutPassword(ssid, wish, seen, saved)
}

function withPassword(
  ssid: Buffer,
  { hidden = false, security = 'WPA2' }: Wish,
  password: string,
  seen: readonly AccessPoint[],
  saved: readonly Profile[],
): Choice | 'not in sight' {
  const point = seen.find(({ security }) => familyOf[security] === 'psk')
  if (!point && seen[0] && !hidden) {
    const family = familyOf[seen[0].security]
    throw unsupported[family] ? new WifiError('WIFI_UNSUPPORTED', unsupported[family]) : new WifiError('WIFI_TWIN')
  }
  if (!point && !hidden) return 'not in sight'
  const keyManagement = (point?.security ?? security) === 'WPA3' ? 'sae' : 'wpa-psk'
  if (!isPassword(password, keyManagement)) throw new WifiError('WIFI_PASSWORD_INVALID')
  const replaces = saved.filter(({ family }) => family === 'psk')
  return { network: { ssid, keyManagement, password, hidden: !point }, target: point?.path ?? '/', replaces }
}

function withoutPassword(
  ssid: Buffer,
  { hidden = false, security }: Wish,
  seen: readonly AccessPoint[],
  saved: readonly Profile[],
): Choice | 'not in sight' {
  const families = new Set(seen.map(({ security }) => familyOf[security]))
  const rank = ['enterprise', 'psk', 'owe', 'wep', 'open'] as const
  const known = rank.flatMap((family) =>
    saved.filter((profile) => profile.family === family && (families.has(family) || seen.length === 0)),
  )
  // the best that is both saved and there, but no open one where a secured one is saved
  const profile =
    known.find(({ family }) => family !== 'open') ?? (saved.every(({ family }) => family === 'open') ? known[0] : undefined)
  if (profile) {
    const target = seen.find(({ security }) => familyOf[security] === profile.family)?.path ?? '/'
    return { profile, network: { ssid, hidden: profile.hidden }, target, replaces: [] }
  }
  if (saved.length > 0 && seen.length > 0) throw new WifiError('WIFI_TWIN')
  if (families.has('psk') || (seen.length === 0 && hidden && security !== undefined))
    throw new WifiError('WIFI_PASSWORD_REQUIRED')
  const refused = rank.find((family) => families.has(family) && unsupported[family])
  if (refused) throw new WifiError('WIFI_UNSUPPORTED', unsupported[refused])
  const point = seen.find(({ security }) => security === 'OWE') ?? seen[0]
  if (!point && !hidden) return 'not in sight'
  return {
    network: { ssid, hidden: !point, ...(point?.security === 'OWE' && { keyManagement: 'owe' as const }) },
    target: point?.path ?? '/',
    replaces: [],
  }
}
