import type { Objects, Properties } from './bus.ts'
import type { Profile } from './profiles.ts'
import { ssidText } from './ssid.ts'

const accessPoint = 'org.freedesktop.NetworkManager.AccessPoint'
const mostNetworks = 200

export type Security = 'Open' | 'OWE' | 'WEP' | 'WPA' | 'WPA2' | 'WPA3' | 'WPA2/WPA3' | 'Enterprise'
/** What a profile for one of them does for all of them. */
export type Family = 'open' | 'owe' | 'wep' | 'psk' | 'enterprise'
export type Band = '2.4 GHz' | '5 GHz' | '6 GHz'

export interface AccessPoint {
  readonly path: string
  readonly ssid: Buffer
  readonly bssid: string
  /** 0 to 100. */
  readonly signal: number
  /** MHz. */
  readonly frequency: number
  readonly security: Security
}

export interface Network {
  /** Bytes that are no text are escaped, as `\xe9`. */
  readonly ssid: string
  readonly bssid: string
  readonly signal: number
  readonly frequency: number
  readonly channel: number
  readonly band: Band
  readonly security: Security
  /** All that access points of this name offer, when they differ: one of them may be an impostor. */
  readonly securities?: Security[]
  readonly connected: boolean
  /** There is a profile for it: it needs no password. */
  readonly saved: boolean
  readonly supported: boolean
}

export const familyOf: Readonly<Record<Security, Family>> = {
  Open: 'open',
  OWE: 'owe',
  WEP: 'wep',
  WPA: 'psk',
  WPA2: 'psk',
  WPA3: 'psk',
  'WPA2/WPA3': 'psk',
  Enterprise: 'enterprise',
}

/** By NM80211ApFlags and NM80211ApSecurityFlags. */
export function securityOf({ Flags, WpaFlags, RsnFlags }: Properties): Security {
  const rsn = Number(RsnFlags)
  const both = Number(WpaFlags) | rsn
  if (both & 0x400) return both & 0x100 ? 'WPA2/WPA3' : 'WPA3'
  if (both & 0x100) return rsn & 0x100 ? 'WPA2' : 'WPA'
  if (both & 0x2200) return 'Enterprise'
  if (both & 0x1800) return 'OWE'
  return Number(Flags) & 1 ? 'WEP' : 'Open'
}

export function bandOf(frequency: number): Band {
  return frequency < 3000 ? '2.4 GHz' : frequency < 5925 ? '5 GHz' : '6 GHz'
}

/** IEEE 802.11, annex E. */
export function channelOf(frequency: number): number {
  if (frequency === 2484) return 14
  if (frequency === 5935) return 2
  const start = { '2.4 GHz': 2407, '5 GHz': 5000, '6 GHz': 5950 }[bandOf(frequency)]
  return Math.max(0, Math.round((frequency - start) / 5))
}

/** Those that this device hears. The nameless are left out. */
export function accessPoints(objects: Objects, paths: readonly string[]): AccessPoint[] {
  return paths.flatMap((path) => {
    const point = objects.get(path)?.get(accessPoint)
    const ssid = Buffer.from((point?.Ssid as Uint8Array | undefined) ?? [])
    if (!point || ssid.every((byte) => byte === 0)) return []
    const { HwAddress, Strength, Frequency } = point
    const signal = Math.min(100, Number(Strength))
    return [{ path, ssid, bssid: String(HwAddress), signal, frequency: Number(Frequency), security: securityOf(point) }]
  })
}

/**
 * One network for each name, the strongest first, at most 200: what is shown of it is the access point in use, or else the strongest of
 * the kind that is saved, or else the strongest.
 */
export function networks(points: readonly AccessPoint[], inUse: string | undefined, profiles: readonly Profile[]): Network[] {
  const groups = new Map<string, AccessPoint[]>()
  for (const point of points) {
    const key = point.ssid.toString('latin1')
    groups.set(key, [...(groups.get(key) ?? []), point])
  }
  const saved = new Map<string, Set<Family>>()
  for (const { ssid, family } of profiles) {
    const key = ssid.toString('latin1')
    saved.set(key, (saved.get(key) ?? new Set()).add(family))
  }
  const all = [...groups].map(([key, group]) => {
    const families = saved.get(key)
    const rank = (point: AccessPoint) =>
      (point.path === inUse ? 2000 : 0) + (families?.has(familyOf[point.security]) ? 1000 : 0) + point.signal
    const [best] = group.sort((a, b) => rank(b) - rank(a)) as [AccessPoint]
    return show(best, [...new Set(group.map(({ security }) => security))].sort(), best.path === inUse, families)
  })
  const order = (network: Network) => (network.connected ? 1000 : 0) + network.signal
  return all.sort((a, b) => order(b) - order(a) || (a.ssid < b.ssid ? -1 : 1)).slice(0, mostNetworks)
}

function show(
  { ssid, bssid, signal, frequency, security }: AccessPoint,
  securities: Security[],
  connected: boolean,
  families: Set<Family> | undefined,
): Network {
  const family = familyOf[security]
  const saved = families?.has(family) ?? false
  return {
    ssid: ssidText(ssid),
    bssid,
    signal,
    frequency,
    channel: channelOf(frequency),
    band: bandOf(frequency),
    security,
    ...(securities.length > 1 && { securities }),
    connected,
    saved,
    supported: saved || (family !== 'enterprise' && family !== 'wep'),
  }
}
