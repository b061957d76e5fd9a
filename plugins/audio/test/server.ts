// Real sound servers in a session of the test's own: no sound card, outputs that lead nowhere, and ears on what is sent to them.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { PrivateBus } from '../../../test/support/bus.ts'

export type Server = 'PipeWire' | 'PulseAudio'

/** What a microphone at the output of a sink heard. */
export interface Heard {
  /** Of the part that is not silent. */
  readonly seconds: number
  readonly hz: number
  /** Of full scale. */
  readonly peak: number
}

/** The session of a user, with the directory that programs of this process are told of. Ends with the test. */
export class Session {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-sound-'))
  readonly #env: NodeJS.ProcessEnv
  readonly #bus: PrivateBus
  #processes: ChildProcess[] = []

  constructor(t: Test) {
    const { HOME, XDG_RUNTIME_DIR } = process.env
    this.#bus = new PrivateBus(t)
    const { address } = this.#bus
    // Nothing is asked of the machine's own services.
    this.#env = {
      PATH: process.env.PATH,
      LC_ALL: 'C.UTF-8',
      HOME: this.directory,
      XDG_RUNTIME_DIR: this.directory,
      DBUS_SESSION_BUS_ADDRESS: address,
      DBUS_SYSTEM_BUS_ADDRESS: address,
    }
    Object.assign(process.env, { HOME: this.directory, XDG_RUNTIME_DIR: this.directory })
    t.teardown(async () => {
      Object.assign(process.env, { HOME })
      if (XDG_RUNTIME_DIR === undefined) delete process.env.XDG_RUNTIME_DIR
      else process.env.XDG_RUNTIME_DIR = XDG_RUNTIME_DIR
      await this.stop()
      rmSync(this.directory, { recursive: true, force: true })
    })
  }

  /** Resolves when it answers and has found out that there is no sound card. */
  async start(server: Server): Promise<this> {
    if (server === 'PipeWire') {
      await this.#bus.start()
      this.#spawn('pipewire')
      while (!(await this.#answers('pw-cli', 'info', '0'))) await delay(10)
      this.#spawn('wireplumber')
      this.#spawn('pipewire-pulse')
    } else {
      const modules = ['native-protocol-unix', 'default-device-restore', 'always-sink', 'rescue-streams']
      const load = modules.map((module) => `--load=module-${module}`)
      this.#spawn('pulseaudio', '--daemonize=no', '--use-pid-file=no', '--exit-idle-time=-1', '-n', ...load)
    }
    while ((await this.#default()) !== 'auto_null') await delay(10)
    return this
  }

  /** As a crash ends it: with all of it at once. */
  async stop(): Promise<void> {
    const processes = this.#processes.splice(0)
    await Promise.all(
      processes.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      }),
    )
    await this.#bus.stop()
  }

  async pactl(...args: string[]): Promise<string> {
    return (await promisify(execFile)('pactl', args, { env: this.#env })).stdout.trim()
  }

  /** Plugs in an output, or with `microphone` that; returns what `pactl unload-module` takes it away by. */
  async plug(server: Server, name: string, description: string, kind: 'output' | 'microphone' = 'output'): Promise<string> {
    const properties = `_properties=device.description=${description}`
    if (kind === 'output') return this.pactl('load-module', 'module-null-sink', `sink_name=${name}`, `sink${properties}`)
    return server === 'PulseAudio'
      ? this.pactl('load-module', 'module-null-source', `source_name=${name}`, `description=${description}`)
      : this.pactl(
          'load-module',
          'module-null-sink',
          'media.class=Audio/Source/Virtual',
          `sink_name=${name}`,
          `sink${properties}`,
        )
  }

  /** A program that plays samples of this level (of full scale) until it has played a minute; resolves with the number of its stream. */
  async play(output: string, level = 0): Promise<string> {
    const before = await this.#streams()
    const file = join(this.directory, 'samples')
    writeFileSync(file, Buffer.from(new Int16Array(60 * 48_000 * 2).fill(Math.round(level * 0x8000)).buffer))
    const format = ['--format=s16le', '--rate=48000', '--channels=2', '--latency-msec=100']
    const child = this.#spawn('pacat', '--playback', `--device=${output}`, ...format, file)
    for (;;) {
      const found = (await this.#streams()).find((line) => !before.includes(line))
      if (found) return found.split('\t')[0] as string
      if (child.exitCode !== null) throw new Error('pacat has ended')
      await delay(10)
    }
  }

  /** The name of the output that a stream is played on. */
  async outputOf(stream: string): Promise<string | undefined> {
    const [, sink] = (await this.#streams()).map((line) => line.split('\t')).find(([index]) => index === stream) ?? []
    const sinks = (await this.pactl('list', 'short', 'sinks')).split('\n').map((line) => line.split('\t'))
    return sinks.find(([index]) => index === sink)?.[1]
  }

  async #streams(): Promise<string[]> {
    return (await this.pactl('list', 'short', 'sink-inputs')).split('\n').filter(Boolean)
  }

  /** Listens at an output; the returned function ends that and tells what was heard. */
  async listen(output: string): Promise<() => Promise<Heard>> {
    const pieces: Buffer[] = []
    const format = ['--format=s16le', '--rate=48000', '--channels=2', '--latency-msec=20']
    const child = this.#spawn('parec', `--device=${output}.monitor`, ...format)
    child.stdout?.on('data', (piece: Buffer) => pieces.push(piece))
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    return async () => {
      // What was played is still on its way to the ear.
      const enough = Buffer.concat(pieces).length + 96_000
      while (Buffer.concat(pieces).length < enough) await delay(10)
      child.kill('SIGKILL')
      return measure(Buffer.concat(pieces))
    }
  }

  /** What the server tells of to whoever listens, as `pactl subscribe` prints it, while `work` lasts. */
  async events(work: () => Promise<unknown>): Promise<string[]> {
    const child = this.#spawn('pactl', 'subscribe')
    let said = ''
    child.stdout?.on('data', (piece: Buffer) => {
      said += piece
    })
    // It listens when it hears of one who asks.
    while (!said) await this.pactl('info')
    await delay(100)
    said = ''
    await work()
    child.kill('SIGKILL')
    return said.split('\n').filter(Boolean)
  }

  #spawn(program: string, ...args: string[]): ChildProcess {
    const child = spawn(program, args, { env: this.#env, stdio: ['ignore', 'pipe', 'ignore'] })
    this.#processes.push(child)
    return child
  }

  async #answers(program: string, ...args: string[]): Promise<boolean> {
    return promisify(execFile)(program, args, { env: this.#env }).then(
      () => true,
      () => false,
    )
  }

  async #default(): Promise<string | undefined> {
    const info = await this.pactl('info').catch(() => '')
    return /^Default Sink: (.*)$/m.exec(info)?.[1]
  }
}

function measure(pcm: Buffer): Heard {
  // Of two channels the first.
  const samples = Array.from({ length: Math.floor(pcm.length / 4) }, (_, i) => pcm.readInt16LE(i * 4) / 0x8000)
  const isLoud = (sample: number) => Math.abs(sample) > 0.001
  const loud = samples.slice(samples.findIndex(isLoud), samples.findLastIndex(isLoud) + 1)
  const seconds = loud.length / 48_000
  const rises = loud.flatMap((sample, i) => (sample >= 0 && (loud[i - 1] ?? 0) < 0 ? i : []))
  // The median period: a machine that is busy leaves gaps.
  const periods = rises.map((rise, i) => rise - (rises[i - 1] ?? 0)).sort((a, b) => a - b)
  const period = periods[Math.floor(periods.length / 2)] ?? Number.POSITIVE_INFINITY
  return { seconds, hz: 48_000 / period, peak: loud.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0) }
}
