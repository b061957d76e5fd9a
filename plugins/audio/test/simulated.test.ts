import t from 'tap'
import { Simulated } from '../../../test/support/simulated.ts'
import type { AudioState } from '../driver/state.ts'

void t.test('the volume moves, the output changes, a tone sounds, and every device is called simulated', async (t) => {
  const audio = await Simulated.start(t, 'audio', 'audio:state')
  const { client } = audio
  const first = await audio.until<AudioState>('audio:state', () => true)
  const { availableOutputs, microphone } = first
  t.match(first, { volume: 40, muted: false, output: 'simulated_hdmi', problem: null })
  t.ok([...availableOutputs, microphone].every((device) => device?.name.startsWith('Simulated')))

  t.match(await client.ask('audio:set_volume', { level: 37 }), { success: true, level: 37 })
  await audio.until<AudioState>('audio:state', ({ volume }) => volume === 37)
  t.match(await client.ask('audio:set_output', { device: 'simulated_jack' }), { success: true })
  await audio.until<AudioState>('audio:state', ({ output, volume }) => output === 'simulated_jack' && volume === 65)
  t.match(await client.ask('audio:set_output', { device: 'nothing' }), { code: 'AUDIO_OUTPUT_NOT_FOUND' })
  t.match(await client.ask('audio:test_sound'), { success: true, output: 'simulated_jack' })
  t.match(await client.ask('audio:toggle_mute'), { success: true, muted: true })
  t.match(await client.ask('audio:test_sound'), { code: 'AUDIO_MUTED' })
  t.match(await client.ask('audio:set_microphone_volume', { level: 12 }), { success: true, level: 12 })
  t.match(await client.ask('audio:toggle_microphone_mute'), { success: true, muted: true })
})
