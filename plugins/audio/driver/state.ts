import { absentOutput } from './absence.ts'
import { type Devices, type OutputType, percent } from './devices.ts'

export interface Output {
  readonly id: string
  readonly name: string
  readonly type: OutputType
  readonly port: string | null
  readonly volume: number
  readonly muted: boolean
}

/** As it is told to clients; see the README. */
export interface AudioState {
  readonly volume: number
  readonly muted: boolean
  readonly output: string
  readonly availableOutputs: Output[]
  readonly microphone: Pick<Output, 'id' | 'name' | 'volume' | 'muted'> | null
  readonly missing: Pick<Output, 'id' | 'name'> | null
  readonly problem: { readonly code: string; readonly message: string } | null
}

/** Makes states of what the server tells, one after the other, and remembers which output sound has fallen back from. */
export function createStates(): (devices: Devices) => Promise<AudioState> {
  let last: Pick<Output, 'id' | 'name'> | null = null
  let missing: Pick<Output, 'id' | 'name'> | null = null
  return async ({ outputs, active, microphone }) => {
    const availableOutputs = outputs.map((output) => {
      const { id, name, type, port, muted } = output
      return { id, name, type, port, volume: percent(output), muted }
    })
    const isThere = (output: Pick<Output, 'id'> | null) => availableOutputs.some(({ id }) => id === output?.id)
    const now = availableOutputs.find(({ id }) => id === active?.id)
    if (now && last && now.id !== last.id) missing = isThere(last) ? null : last
    if (isThere(missing)) missing = null
    // While there is none at all, the last one is still what sound was taken from.
    if (now) last = { id: now.id, name: now.name }
    const failure = outputs.length === 0 ? await absentOutput() : null
    return {
      volume: active ? percent(active) : 0,
      muted: active?.muted ?? true,
      output: now?.id ?? '',
      availableOutputs,
      microphone: microphone
        ? { id: microphone.id, name: microphone.name, volume: percent(microphone), muted: microphone.muted }
        : null,
      missing,
      problem: failure && { code: failure.code, message: failure.message },
    }
  }
}
