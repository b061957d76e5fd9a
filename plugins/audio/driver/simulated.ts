import type { Kind } from './devices.ts'
import type { Exec } from './pactl.ts'

/** Of each channel; pactl's 100 %. */
const FULL = 65_536
/** Milliseconds: for so long a headset is there, and then away. */
const PLUGGED_MS = 40_000
const TONE_MS = 800

interface Device {
  readonly name: string
  readonly description: string
  readonly index: number
  readonly bus?: string
  readonly port?: string
  channels: number[]
  mute: boolean
}

const [ok, silent] = [
  { exitCode: 0, stderr: '' },
  { onStdout: undefined, signal: undefined },
]
const pair = (percent: number) => [0, 0].map(() => Math.round((FULL * percent) / 100))

/** pactl and pacat with outputs and a microphone that are not real: as much of them as the driver asks. */
export class SimulatedSound implements Exec {
  readonly #devices: Record<Kind, Device[]> = {
    sink: [
      { name: 'simulated_hdmi', description: 'Simulated television', index: 1, port: 'HDMI', channels: pair(40), mute: false },
      { name: 'simulated_jack', description: 'Simulated jack', index: 2, port: 'Headphones', channels: pair(65), mute: false },
    ],
    source: [{ name: 'simulated_microphone', description: 'Simulated microphone', index: 3, channels: pair(80), mute: false }],
  }
  readonly #headset: Device = {
    name: 'bluez_output.simulated',
    description: 'Simulated headset (comes and goes)',
    index: 4,
    bus: 'bluetooth',
    channels: pair(30),
    mute: false,
  }
  readonly #default: Record<Kind, string> = { sink: 'simulated_hdmi', source: 'simulated_microphone' }
  readonly #listeners = new Set<(kind: Kind | 'client') => void>()

  async run(_program: string, args: readonly string[]): ReturnType<Exec['run']> {
    // A reading is an event too, as pactl has it.
    this.#tell('client')
    try {
      return { ...ok, stdout: this.#do(args.filter((arg) => !arg.startsWith('--'))) }
    } catch (error) {
      return { exitCode: 1, stdout: '', stderr: (error as Error).message }
    }
  }

  async start(program: string, _args: readonly string[], options: Parameters<Exec['start']>[2] = {}): ReturnType<Exec['start']> {
    const { onStdout, signal } = { ...silent, ...options }
    const isTone = program === 'pacat'
    let end: (outcome: typeof ok) => void = () => {}
    const ended = new Promise<typeof ok>((resolve) => {
      end = resolve
    })
    const listener = (kind: string) => onStdout?.(Buffer.from(`{"event":"change","on":"${kind}"}`))
    const plugging = isTone ? undefined : setInterval(() => this.#plug(), PLUGGED_MS).unref()
    if (!isTone) this.#listeners.add(listener)
    const tone = isTone ? setTimeout(() => end(ok), TONE_MS) : undefined
    const stop = async () => {
      clearTimeout(tone)
      clearInterval(plugging)
      this.#listeners.delete(listener)
      end(ok)
    }
    signal?.addEventListener('abort', () => void stop())
    return { ended, write: async () => undefined, end: () => undefined, stop }
  }

  /** Throws with the last words of a pactl that fails. */
  #do([verb = '', what = '', ...rest]: readonly string[]): string {
    const [, kind, property] = /^set-(sink|source)-(volume|mute)$/.exec(verb) ?? []
    if (verb === 'info')
      return JSON.stringify({ default_sink_name: this.#default.sink, default_source_name: this.#default.source })
    if (verb === 'list') return JSON.stringify(what === 'sink-inputs' ? [] : this.#devices[what.slice(0, -1) as Kind].map(told))
    if (verb === 'set-default-sink') this.#default.sink = this.#find('sink', what).name
    else if (kind) {
      const device = this.#find(kind as Kind, what)
      if (property === 'mute') device.mute = rest[0] === '1'
      else device.channels = rest.map(Number)
    }
    this.#tell((kind ?? 'sink') as Kind)
    return ''
  }

  #find(kind: Kind, name: string): Device {
    const found = this.#devices[kind].find((device) => device.name === name)
    if (!found) throw new Error('Failure: No such entity')
    return found
  }

  #plug(): void {
    const { sink } = this.#devices
    const isThere = sink.includes(this.#headset)
    this.#devices.sink = isThere ? sink.filter((device) => device !== this.#headset) : [...sink, this.#headset]
    if (isThere && this.#default.sink === this.#headset.name) this.#default.sink = 'simulated_hdmi'
    this.#tell('sink')
  }

  #tell(kind: Kind | 'client'): void {
    for (const listener of [...this.#listeners]) listener(kind)
  }
}

/** As pactl tells it. */
function told({ name, description, index, bus, port, channels, mute }: Device): object {
  return {
    name,
    description,
    index,
    mute,
    volume: Object.fromEntries(channels.map((value, channel) => [`channel-${channel}`, { value }])),
    ports: port ? [{ name: port, description: port }] : [],
    active_port: port ?? null,
    flags: ['HARDWARE'],
    properties: bus ? { 'device.bus': bus } : {},
  }
}
