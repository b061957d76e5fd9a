import { defineContract, Type } from 'patchbay/plugin'

const Level = Type.Number({ minimum: 0, maximum: 100, description: 'percent' })
const Id = Type.String({ minLength: 1, maxLength: 256 })
const figures = { volume: Type.Integer({ minimum: 0, maximum: 100, description: 'percent' }), muted: Type.Boolean() }

const Output = Type.Object({
  id: Id,
  name: Type.String(),
  type: Type.Union(
    [
      Type.Literal('hdmi'),
      Type.Literal('analog'),
      Type.Literal('bluetooth'),
      Type.Literal('usb'),
      Type.Literal('network'),
      Type.Literal('virtual'),
    ],
    { description: 'virtual: neither a device nor the network' },
  ),
  port: Type.Union([Type.String(), Type.Null()], {
    description: 'what is plugged in where the device tells, such as Headphones',
  }),
  ...figures,
})

/** AudioState of the Pi Manager contract, and more. */
const AudioState = Type.Object({
  volume: Type.Integer({ minimum: 0, maximum: 100, description: 'percent, of the active output' }),
  muted: Type.Boolean(),
  output: Type.String({ description: 'id of the active output; empty where there is none' }),
  availableOutputs: Type.Array(Output),
  microphone: Type.Union([Type.Object({ id: Id, name: Type.String(), ...figures }), Type.Null()]),
  missing: Type.Union([Type.Object({ id: Id, name: Type.String() }), Type.Null()], {
    description: 'the output that was active and has disappeared, while sound comes from another',
  }),
  problem: Type.Union([Type.Object({ code: Type.String(), message: Type.String() }), Type.Null()], {
    description: 'why nothing can be heard',
  }),
})

const command = { role: 'operator', timeoutMs: 5000 } as const

export const audio = defineContract({
  id: 'audio',
  description: 'Volume, outputs and microphone of the sound server (PipeWire or PulseAudio)',
  needs: {
    session: true,
    tools: {
      pactl: { package: 'pulseaudio-utils', version: '16' },
      pacat: { package: 'pulseaudio-utils' },
    },
    groups: { audio: 'Sound cards belong to it.' },
  },
  capabilities: { exec: ['pactl', 'pacat'] },
  settings: Type.Object(
    { simulated: Type.Boolean({ default: false, description: 'Outputs and a microphone that are not real, instead.' }) },
    { additionalProperties: false },
  ),
  commands: {
    'audio:set_volume': {
      ...command,
      description:
        'Of the active output, or of another. Of several that come at once the last one counts; each is told what is set in the end',
      payload: Type.Object({ level: Level, output: Type.Optional(Id) }, { additionalProperties: false }),
      result: Type.Object({ level: figures.volume, output: Id }),
      rate: { max: 20, windowMs: 5000 },
      inFlight: 20,
    },
    'audio:set_output': {
      ...command,
      description: 'Makes an output the active one and moves what plays to it',
      payload: Type.Object({ device: Id }, { additionalProperties: false }),
      result: Type.Object({ output: Id }),
    },
    'audio:toggle_mute': { ...command, description: 'Of the active output', result: Type.Object({ muted: Type.Boolean() }) },
    'audio:test_sound': {
      ...command,
      description: 'Plays a short tone on the active output, into whatever plays; answered when it was played',
      result: Type.Object({ output: Id }),
    },
    'audio:set_microphone_volume': {
      ...command,
      payload: Type.Object({ level: Level }, { additionalProperties: false }),
      result: Type.Object({ level: figures.volume }),
      rate: { max: 20, windowMs: 5000 },
      inFlight: 20,
    },
    'audio:toggle_microphone_mute': { ...command, result: Type.Object({ muted: Type.Boolean() }) },
  },
  events: { 'audio:state': { description: 'As the sound server tells it', payload: AudioState, retained: true } },
  errors: {
    AUDIO_NO_SERVER:
      'No sound server answers: PipeWire (pipewire-pulse, wireplumber) or PulseAudio must run in the session of this user.',
    AUDIO_PERMISSION: 'The sound server refuses this user.',
    AUDIO_NO_OUTPUT: 'There is no sound output.',
    AUDIO_OUTPUT_NOT_FOUND: 'There is no such output any more.',
    AUDIO_NO_MICROPHONE: 'There is no microphone.',
    AUDIO_MUTED: 'The output is muted, or its volume is 0: the tone would not be heard.',
    AUDIO_FAILED: 'The sound server did not do it; try again.',
  },
})
