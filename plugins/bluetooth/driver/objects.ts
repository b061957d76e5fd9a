import { basename } from 'node:path'
import { canType, type Kind, kindOf } from './kind.ts'

type Properties = Readonly<Record<string, unknown>>
/** The objects of BlueZ by path, each with the properties of its interfaces. */
export type Objects = ReadonlyMap<string, ReadonlyMap<string, Properties>>

const [adapterInterface, deviceInterface, batteryInterface] = ['org.bluez.Adapter1', 'org.bluez.Device1', 'org.bluez.Battery1']
export const interfaces = [adapterInterface, deviceInterface, batteryInterface]

export interface Adapter {
  readonly path: string
  /** Such as `hci0`. */
  readonly id: string
  readonly mac: string
  readonly name: string | null
  readonly powered: boolean
  readonly discoverable: boolean
  readonly discovering: boolean
}

export interface Device {
  readonly path: string
  readonly name: string | null
  readonly mac: string
  /** dBm; null while it is not being heard. */
  readonly rssi: number | null
  readonly paired: boolean
  readonly connected: boolean
  readonly trusted: boolean
  readonly blocked: boolean
  /** Percent. */
  readonly battery: number | null
  readonly type: Kind
  /** A name of the freedesktop.org icon naming specification, such as `audio-headset`. */
  readonly icon: string
  readonly canType: boolean
  readonly servicesResolved: boolean
}

/** The adapter of this name (`hci1`) or address; without one the first. */
export function adapterOf(objects: Objects, wanted = ''): Adapter | undefined {
  const adapters = [...objects].flatMap(([path, all]) => {
    const properties = all.get(adapterInterface)
    return properties ? [readAdapter(path, properties)] : []
  })
  // hci2 comes before hci10
  adapters.sort((a, b) => a.id.length - b.id.length || (a.id < b.id ? -1 : 1))
  return adapters.find(({ id, mac }) => !wanted || id === wanted || mac === wanted.toUpperCase())
}

/** The devices that an adapter knows. */
export function devicesOf(objects: Objects, adapter: Adapter): Device[] {
  return [...objects].flatMap(([path, all]) => {
    const properties = all.get(deviceInterface)
    return properties && path.startsWith(`${adapter.path}/`) ? [readDevice(path, properties, all.get(batteryInterface))] : []
  })
}

function readAdapter(path: string, { Address, Alias, Powered, Discoverable, Discovering }: Properties): Adapter {
  return {
    path,
    id: basename(path),
    mac: text(Address).toUpperCase(),
    name: cleanName(Alias),
    powered: Powered === true,
    discoverable: Discoverable === true,
    discovering: Discovering === true,
  }
}

function readDevice(path: string, properties: Properties, battery: Properties | undefined): Device {
  const { Address, Alias, RSSI, Paired, Connected, Trusted, Blocked, Class, Appearance, UUIDs, Icon, ServicesResolved } =
    properties
  const mac = text(Address).toUpperCase()
  const services = Array.isArray(UUIDs) ? UUIDs.map((id) => text(id).toLowerCase()) : []
  const claims = { class: number(Class), appearance: number(Appearance), services }
  const percent = number(battery?.['Percentage'])
  return {
    path,
    mac,
    // without a name BlueZ makes one of the address
    name: text(Alias).replaceAll('-', ':').toUpperCase() === mac ? null : cleanName(Alias),
    rssi: number(RSSI) ?? null,
    paired: Paired === true,
    connected: Connected === true,
    trusted: Trusted === true,
    blocked: Blocked === true,
    battery: percent === undefined ? null : Math.min(percent, 100),
    type: kindOf(claims),
    icon: /^[a-z][a-z-]{0,39}$/.test(text(Icon)) ? text(Icon) : 'bluetooth',
    canType: canType(claims),
    servicesResolved: ServicesResolved === true,
  }
}

const text = (value: unknown) => (typeof value === 'string' ? value : '')
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined)
const maxName = 64

/**
 * A name as it may be shown. Devices choose theirs: what controls, turns the direction of writing, cannot be seen or piles up is taken
 * out, and it is cut after 64 characters. Null if nothing is left.
 */
export function cleanName(name: unknown): string | null {
  const visible = text(name)
    .slice(0, 1024)
    .replace(/[\s\p{Z}]+/gu, ' ')
    .replace(/[\p{C}\p{Default_Ignorable_Code_Point}]/gu, '')
    .replace(/(\p{M}{2})\p{M}+/gu, '$1')
  return [...visible.trim()].slice(0, maxName).join('').trim() || null
}
