import { ask, type Exec } from './pactl.ts'

/** In the server's words: a sink is an output. */
export type Kind = 'sink' | 'source'
export type OutputType = 'hdmi' | 'analog' | 'bluetooth' | 'usb' | 'network' | 'virtual'

/** An output or a microphone, as the server has it. */
export interface Device {
  /** Stable: the server makes it of the device's place (`alsa_output.platform-107c701400.hdmi.hdmi-stereo`). */
  readonly id: string
  readonly name: string
  readonly type: OutputType
  /** Where the device tells: what is plugged in, such as Headphones. */
  readonly port: string | null
  readonly index: number
  readonly muted: boolean
  /** Of each channel; 65,536 is 100 %. */
  readonly channels: readonly number[]
}

/** One reading of the server. */
export interface Devices {
  readonly outputs: readonly Device[]
  /** The one that is used where nobody asks for another. The server's dummy may be it, which is not among the outputs. */
  readonly active: Device | undefined
  readonly microphone: Device | undefined
}

/** What a server plays into when it has nothing else. */
const DUMMY = 'auto_null'
const FULL = 65_536

/** All that can be heard of or spoken into, the server's dummy among it; sources that listen at an output are left out. */
export async function readKind(exec: Exec, kind: Kind): Promise<Device[]> {
  const isMonitor = (said: Fields) =>
    kind === 'source' && (text(said['monitor_source']) || text(said['name']).endsWith('.monitor'))
  return list(await ask(exec, 'list', `${kind}s`)).flatMap((said) => (isMonitor(said) ? [] : device(said)))
}

/** The ids of what is used where nobody asks for another. */
export async function readDefaults(exec: Exec): Promise<Record<Kind, string>> {
  const info = object(await ask(exec, 'info'))
  return { sink: text(info['default_sink_name']), source: text(info['default_source_name']) }
}

export async function readDevices(exec: Exec): Promise<Devices> {
  const [defaults, sinks, sources] = await Promise.all([readDefaults(exec), readKind(exec, 'sink'), readKind(exec, 'source')])
  return {
    outputs: sinks.filter(isReal),
    active: sinks.find(({ id }) => id === defaults.sink),
    microphone: sources.find(({ id }) => id === defaults.source),
  }
}

export const isReal = ({ id }: Pick<Device, 'id'>): boolean => id !== DUMMY

/** Whole percent of the loudest channel. A server goes beyond 100, the contract does not. */
export function percent({ channels }: Pick<Device, 'channels'>): number {
  return Math.min(100, Math.round((Math.max(0, ...channels) / FULL) * 100))
}

/** Channel values for a level in percent, in the given proportion of the channels. */
export function channelsAt(level: number, proportion: readonly number[]): number[] {
  const most = Math.max(0, ...proportion)
  return proportion.map((part) => Math.round((level / 100) * FULL * (most === 0 ? 1 : part / most)))
}

function device(said: Fields): Device {
  const id = text(said['name'])
  const ports = list(said['ports'])
  const port = ports.find(({ name }) => name === said['active_port'])
  return {
    id,
    name: text(said['description']) || id,
    type: typeOf(id, said, port),
    port: port ? text(port['description']) : null,
    index: Number(said['index']),
    muted: said['mute'] === true,
    channels: Object.values(object(said['volume'])).map((channel) => Number(object(channel)['value'])),
  }
}

function typeOf(id: string, said: Fields, port: Fields | undefined): OutputType {
  const properties = object(said['properties'])
  const flags = Array.isArray(said['flags']) ? said['flags'] : []
  const [bus, api] = [text(properties['device.bus']), text(properties['device.api'])]
  if (bus === 'bluetooth' || api.startsWith('bluez') || id.startsWith('bluez_')) return 'bluetooth'
  if (bus === 'usb' || id.startsWith('alsa_output.usb-')) return 'usb'
  if (
    /hdmi|displayport/i.test(`${id} ${text(port?.['type'])} ${text(port?.['name'])} ${text(properties['device.profile.name'])}`)
  )
    return 'hdmi'
  if (flags.includes('NETWORK') || properties['node.network'] === 'true' || /tunnel|raop|rtp/.test(text(said['driver'])))
    return 'network'
  return flags.includes('HARDWARE') || api === 'alsa' || id.startsWith('alsa_output.') ? 'analog' : 'virtual'
}

type Fields = Readonly<Record<string, unknown>>

function object(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

export function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(object) : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
