import { setTimeout as delay } from 'node:timers/promises'
import { absentOutput } from './absence.ts'
import { channelsAt, type Device, isReal, type Kind, list, percent, readDefaults, readKind } from './devices.ts'
import { AudioFailure } from './failure.ts'
import { createLatest } from './latest.ts'
import { ask, type Exec, pactl } from './pactl.ts'
import { playTone } from './tone.ts'

/** What the server said it did may take this long to show. */
const SETTLED_MS = 300
const DEFAULT_CHANGED_MS = 1000
const AGAIN_MS = 20

/** What can be done with sound. All of it rejects with an AudioFailure. */
export interface Sound {
  /** Of the active output, or another. Resolves with what is set in the end. */
  setVolume(level: number, output?: string): Promise<{ level: number; output: string }>
  setMicrophoneVolume(level: number): Promise<{ level: number }>
  toggleMute(): Promise<{ muted: boolean }>
  toggleMicrophoneMute(): Promise<{ muted: boolean }>
  /** Makes an output the active one and moves what plays to it. */
  setOutput(output: string): Promise<{ output: string }>
  testSound(signal: AbortSignal): Promise<{ output: string }>
  /** Why nothing can be heard; null if something can. */
  problem(): Promise<AudioFailure | null>
}

export function createSound(exec: Exec): Sound {
  /** How the channels of a device were to one another before rounding, and what they have been since: a change by others shows. */
  const balances = new Map<string, { readonly set: readonly number[]; readonly proportion: readonly number[] }>()

  const proportionOf = ({ id, channels }: Device) => {
    const known = balances.get(id)
    const isOurs = known?.set.join() === channels.join()
    return known && (isOurs || percent({ channels }) === 0) && known.set.length === channels.length ? known.proportion : channels
  }
  const setVolume = createLatest(async (key: string, level: number) => {
    // What an id may hold is the server's choice.
    const kind: Kind = key.startsWith('sink ') ? 'sink' : 'source'
    const device = await find(exec, kind, key.slice(kind.length + 1))
    const proportion = proportionOf(device)
    const wanted = channelsAt(level, proportion)
    await pactl(exec, `set-${kind}-volume`, device.id, ...wanted.map(String))
    const now = await settled(kind, device.id, (changed) => percent(changed) === level)
    balances.delete(device.id)
    balances.set(device.id, { set: now.channels, proportion })
    // Bluetooth devices come and go for years.
    for (const oldest of [...balances.keys()].slice(0, -32)) balances.delete(oldest)
    return now
  })

  /** The device once it is as it was told to be, or as it is after a while. */
  const settled = async (kind: Kind, id: string, isDone: (device: Device) => boolean): Promise<Device> => {
    for (const end = performance.now() + SETTLED_MS; ; await delay(AGAIN_MS)) {
      const device = await find(exec, kind, id)
      if (isDone(device) || performance.now() > end) return device
    }
  }
  const toggleMute = async (kind: Kind) => {
    const { id, muted } = await find(exec, kind)
    await pactl(exec, `set-${kind}-mute`, id, muted ? '0' : '1')
    return { muted: (await settled(kind, id, (device) => device.muted !== muted)).muted }
  }
  // Each toggles what the one before has left.
  let lastToggle: Promise<unknown> = Promise.resolve()
  const inTurn = (kind: Kind) => {
    const turn = lastToggle.then(() => toggleMute(kind))
    lastToggle = turn.catch(() => undefined)
    return turn
  }

  let playing: Promise<{ output: string }> | undefined
  const play = async (signal: AbortSignal) => {
    const { id, muted, channels } = await find(exec, 'sink')
    if (muted || percent({ channels }) === 0)
      throw new AudioFailure('AUDIO_MUTED', 'The output is muted, or its volume is 0: the tone would not be heard.')
    await playTone(exec, id, signal)
    return { output: id }
  }

  return {
    async setVolume(level, output = '') {
      const device = await setVolume(`sink ${output}`, Math.round(level))
      return { level: percent(device), output: device.id }
    },
    async setMicrophoneVolume(level) {
      return { level: percent(await setVolume('source ', Math.round(level))) }
    },
    toggleMute: () => inTurn('sink'),
    toggleMicrophoneMute: () => inTurn('source'),
    async setOutput(output) {
      const { id, index } = await find(exec, 'sink', output)
      await pactl(exec, 'set-default-sink', id)
      for (const end = performance.now() + DEFAULT_CHANGED_MS; ; await delay(AGAIN_MS)) {
        if ((await readDefaults(exec)).sink === id) break
        if (performance.now() > end) throw new AudioFailure('AUDIO_FAILED', 'The sound server keeps another output.')
      }
      // Only now: to be moved to the active output is to follow it from then on, to be moved to another is to stay there.
      await moveStreams(exec, id, index)
      return { output: id }
    },
    // One tone at a time: who asks while it plays hears it too.
    testSound(signal) {
      playing ??= play(signal).finally(() => {
        playing = undefined
      })
      return playing
    },
    async problem() {
      try {
        const outputs = await readKind(exec, 'sink')
        return outputs.some(isReal) ? null : await absentOutput()
      } catch (error) {
        return error as AudioFailure
      }
    },
  }
}

/** The device of an id, or the one that is active. */
async function find(exec: Exec, kind: Kind, id?: string): Promise<Device> {
  const [all, defaults] = await Promise.all([readKind(exec, kind), id ? undefined : readDefaults(exec)])
  const found = all.filter(isReal).find((device) => device.id === (id || defaults?.[kind]))
  if (found) return found
  if (kind === 'source') throw new AudioFailure('AUDIO_NO_MICROPHONE', 'There is no microphone.')
  if (id && all.some(isReal)) throw new AudioFailure('AUDIO_OUTPUT_NOT_FOUND', 'There is no such output.')
  throw await absentOutput()
}

/** Moves what programs play to an output; what the server plays by itself (filters, loopbacks) stays where it was put. */
async function moveStreams(exec: Exec, output: string, index: number): Promise<void> {
  const streams = list(await ask(exec, 'list', 'sink-inputs'))
  const others = streams.filter(({ sink, client }) => sink !== index && client !== null && client !== 'n/a')
  // One may end meanwhile, or may not be moved.
  await Promise.allSettled(others.map((stream) => pactl(exec, 'move-sink-input', String(stream['index']), output)))
}
