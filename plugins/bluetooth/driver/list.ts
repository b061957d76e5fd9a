import type { Device } from './objects.ts'

/** More than a person can look through; a room full of beacons has many more. */
const maxDevices = 200

const rank = ({ connected, paired, name }: Device) => (connected ? 0 : paired ? 1 : name === null ? 3 : 2)
const strength = ({ rssi }: Device) => rssi ?? -128

/**
 * What is shown of the devices: those that matter first and the strongest of the rest, in an order that does not change with
 * their strength, so that nobody taps on another than the one they saw.
 */
export function shownDevices(devices: readonly Device[]): Array<Omit<Device, 'path' | 'servicesResolved'>> {
  const byImportance = [...devices].sort((a, b) => rank(a) - rank(b) || strength(b) - strength(a))
  const chosen = byImportance.slice(0, maxDevices)
  const byName = (a: Device, b: Device) => (a.name ?? '').localeCompare(b.name ?? '', 'en') || (a.mac < b.mac ? -1 : 1)
  return chosen
    .sort((a, b) => rank(a) - rank(b) || byName(a, b))
    .map(({ path: _path, servicesResolved: _resolved, ...shown }) => shown)
}
