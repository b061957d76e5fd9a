// The plugin in a real host, over real sound servers. What it tells is compared with what pactl and the ear at an output tell.
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { startTestHost, type TestClient } from '../../../core/testing/host.ts'
import type { AudioState } from '../driver/state.ts'
import { type Server, Session } from './server.ts'

/** A host over a server with two outputs, of which the first is the active one, and a subscriber. */
async function open(t: Test, server: Server) {
  const session = await new Session(t).start(server)
  const left = await session.plug(server, 'left', 'Left')
  const right = await session.plug(server, 'right', 'Right')
  await session.pactl('set-default-sink', 'left')
  const host = await startTestHost({ builtins: ['audio'] })
  t.teardown(() => host.stop())
  await host.reached('audio', 'running')
  const client = await host.client('operator')
  const shows = (fits: (state: AudioState) => boolean) => client.next('audio:state', fits)
  const first = shows(({ output }) => output === 'left')
  await client.ask('module:subscribe', { module: 'audio' })
  return { session, host, client, shows, state: await first, left, right }
}
const outputOf = ({ availableOutputs }: AudioState, id: string) => availableOutputs.find((output) => output.id === id)
const subscribed = async (client: TestClient) => {
  const state = client.next<AudioState>('audio:state')
  await client.ask('module:subscribe', { module: 'audio' })
  return state
}

/** All that the plugin promises, as tests of `t`. */
export async function behaves(t: Test, server: Server): Promise<void> {
  const { session, host, client, shows, state, right } = await open(t, server)

  await t.test('a subscriber is shown outputs, volume and microphone as they are', async (t) => {
    t.match(state, { volume: 100, muted: false, output: 'left', microphone: null, missing: null, problem: null })
    t.same(
      state.availableOutputs.filter(({ id }) => id !== 'auto_null').map(({ id, name, type }) => ({ id, name, type })),
      [
        { id: 'left', name: 'Left', type: 'virtual' },
        { id: 'right', name: 'Right', type: 'virtual' },
      ],
    )
  })

  await t.test("what others change is shown by the server's own events", async (t) => {
    const changes: ReadonlyArray<readonly [string[], (state: AudioState) => boolean]> = [
      [['set-sink-volume', 'left', '37%'], ({ volume }) => volume === 37],
      [['set-sink-mute', 'left', '1'], ({ muted }) => muted],
      [['set-sink-mute', 'left', '0'], ({ muted }) => !muted],
      [['set-sink-volume', 'right', '20%'], (state) => outputOf(state, 'right')?.volume === 20],
      [['set-default-sink', 'right'], ({ output, volume }) => output === 'right' && volume === 20],
      [['set-default-sink', 'left'], ({ output }) => output === 'left'],
    ]
    const late: number[] = []
    for (const [command, fits] of changes) {
      const shown = shows(fits)
      await session.pactl(...command)
      const begun = performance.now()
      await shown
      late.push(Math.round(performance.now() - begun))
    }
    t.comment(`shown after ${late.join(', ')} ms`)
  })

  await t.test('while nothing changes nobody asks the server anything', async (t) => {
    t.same(await session.events(() => delay(300)), [])
  })

  await t.test('the ack of a volume tells what is really set; balance stays, also through 0', async (t) => {
    await session.pactl('set-sink-volume', 'left', '80%', '40%')
    const channels = async () =>
      /front-left: (\d+).*front-right: (\d+)/.exec(await session.pactl('get-sink-volume', 'left'))?.slice(1)
    for (const level of [50, 0, 1, 100]) {
      t.match(await client.ask('audio:set_volume', { level }), { success: true, level, output: 'left' })
      t.same(await channels(), [String(Math.round(655.36 * level)), String(Math.round(327.68 * level))])
    }
    t.match(await client.ask('audio:set_volume', { level: 49.6 }), { level: 50 })
    t.match(await client.ask('audio:set_volume', { level: 30, output: 'right' }), { level: 30, output: 'right' })
    t.match(await session.pactl('get-sink-volume', 'right'), / 30% /)
    t.same(await channels(), ['32768', '16384'], 'only that one')
    await session.pactl('set-sink-volume', 'left', '40%', '80%')
    await client.ask('audio:set_volume', { level: 100 })
    t.same(await channels(), ['32768', '65536'], 'the balance that another has set meanwhile')
  })

  await t.test('beyond 100 percent there is nothing', async (t) => {
    for (const level of [101, -1, Number.NaN, '50', null])
      t.match(await client.ask('audio:set_volume', { level }), { success: false, code: 'INVALID_PAYLOAD' })
    const lower = shows(({ volume }) => volume === 70)
    await client.ask('audio:set_volume', { level: 70 })
    await lower
    const shown = shows(({ volume }) => volume !== 70)
    await session.pactl('set-sink-volume', 'left', '150%')
    t.equal((await shown).volume, 100)
  })

  await t.test('of a slider that is dragged the last value counts, and all acks tell what is set when they come', async (t) => {
    // Another user: each may do it twenty times.
    const dragger = await host.client('operator')
    const levels = Array.from({ length: 20 }, (_, i) => 5 * i + 4)
    const answers = await Promise.all(levels.map((level) => dragger.ask('audio:set_volume', { level })))
    t.ok(answers.every(({ success }) => success))
    t.equal(answers.at(-1)?.level, 99)
    t.match(await session.pactl('get-sink-volume', 'left'), / 99% /)
    const over = await dragger.ask('audio:set_volume', { level: 10 })
    t.match(over, { success: false, code: 'RATE_LIMITED' })
    t.type(over.retryAfter, 'number')
    t.match(await session.pactl('get-sink-volume', 'left'), / 99% /)
  })

  await t.test('muting toggles, one after the other', async (t) => {
    const answers = await Promise.all([1, 2, 3].map(() => client.ask('audio:toggle_mute')))
    t.same(
      answers.map(({ muted }) => muted),
      [true, false, true],
    )
    t.match(await session.pactl('get-sink-mute', 'left'), 'yes')
    t.match(await client.ask('audio:test_sound'), { success: false, code: 'AUDIO_MUTED' })
    t.match(await client.ask('audio:toggle_mute'), { success: true, muted: false })
  })

  await t.test('the test sound is heard on the active output, at its volume, when the ack comes', async (t) => {
    await client.ask('audio:set_volume', { level: 50 })
    const [atLeft, atRight] = await Promise.all([session.listen('left'), session.listen('right')])
    t.match(await client.ask('audio:test_sound'), { success: true, output: 'left' })
    const [left, right] = await Promise.all([atLeft(), atRight()])
    t.comment(left)
    t.ok(Math.abs(left.hz - 880) < 15, `${left.hz} Hz`)
    t.ok(left.seconds > 0.7, `${left.seconds} s`)
    // Volume is cubic: half is an eighth.
    t.ok(Math.abs(left.peak - 0.25 / 8) < 0.25 / 80, `peak ${left.peak}`)
    t.equal(right.peak, 0, 'silence on the other')
  })

  await t.test('it is mixed with what plays, which plays on', async (t) => {
    const stream = await session.play('left', 0.4)
    const atLeft = await session.listen('left')
    t.match(await client.ask('audio:test_sound'), { success: true })
    const { peak } = await atLeft()
    // The sum of the two, at an eighth.
    t.ok(Math.abs(peak - (0.4 + 0.25) / 8) < 0.005, `peak ${peak}`)
    t.equal(await session.outputOf(stream), 'left')
  })

  await t.test('what plays moves with the output; an output that nobody has is refused', async (t) => {
    const stream = await session.play('left')
    t.equal(await session.outputOf(stream), 'left')
    const shown = shows(({ output }) => output === 'right')
    t.match(await client.ask('audio:set_output', { device: 'right' }), { success: true, output: 'right' })
    await shown
    while ((await session.outputOf(stream)) !== 'right') await delay(10)
    t.match(await client.ask('audio:set_output', { device: 'nowhere' }), { success: false, code: 'AUDIO_OUTPUT_NOT_FOUND' })
    t.match(await client.ask('audio:set_volume', { level: 1, output: '--help' }), { code: 'AUDIO_OUTPUT_NOT_FOUND' })
    t.match(await client.ask('audio:set_output', { device: '' }), { code: 'INVALID_PAYLOAD' })
  })

  await t.test('when the output disappears sound falls back, and the state says from where', async (t) => {
    const shown = shows(({ output, missing }) => output === 'left' && missing !== null)
    await session.pactl('unload-module', right)
    const { missing, availableOutputs } = await shown
    t.same(missing, { id: 'right', name: 'Right' })
    t.notOk(availableOutputs.some(({ id }) => id === 'right'))
    const back = shows((state) => outputOf(state, 'right') !== undefined && state.missing === null)
    await session.plug(server, 'right', 'Right')
    await back
    await client.ask('audio:set_output', { device: 'left' })
  })

  await t.test('the microphone has a volume and can be muted', async (t) => {
    t.match(await client.ask('audio:set_microphone_volume', { level: 40 }), { success: false, code: 'AUDIO_NO_MICROPHONE' })
    const plugged = shows(({ microphone }) => microphone?.id === 'mic')
    await session.plug(server, 'mic', 'Desk', 'microphone')
    await session.pactl('set-default-source', 'mic')
    t.match((await plugged).microphone, { name: /Desk/, muted: false })
    const shown = shows(({ microphone }) => microphone?.volume === 40 && microphone.muted)
    t.match(await client.ask('audio:set_microphone_volume', { level: 40 }), { success: true, level: 40 })
    t.match(await client.ask('audio:toggle_microphone_mute'), { success: true, muted: true })
    t.match(await session.pactl('get-source-volume', 'mic'), / 40% /)
    await shown
  })

  await t.test('what kind an output is shows in its name and its properties', async (t) => {
    const outputs = [
      ['alsa_output.platform-107c701400.hdmi.hdmi-stereo', '', 'hdmi'],
      ['alsa_output.platform-bcm2835_audio.stereo-fallback', '', 'analog'],
      ['alsa_output.usb-Burr-Brown_USB_Audio-00.analog-stereo', '', 'usb'],
      ['speaker', 'device.bus=bluetooth', 'bluetooth'],
      ['bluez_output.00_11_22_33_44_55.1', '', 'bluetooth'],
      ['kitchen', 'node.network=true', 'network'],
    ] as const
    const shown = shows((state) => outputs.every(([id, , type]) => outputOf(state, id)?.type === type))
    const modules = await Promise.all(
      outputs.map(([id, property]) =>
        session.pactl('load-module', 'module-null-sink', `sink_name=${id}`, `sink_properties=${property}`),
      ),
    )
    t.ok(await shown)
    for (const module of modules) await session.pactl('unload-module', module)
  })

  await t.test('a server that is restarted is found again; meanwhile everybody is told why there is nothing', async (t) => {
    const lost = client.next<{ code: string; message: string }>('error')
    await session.stop()
    t.match(await lost, { code: 'AUDIO_NO_SERVER', message: /enable-linger|lingering/ })
    t.match(await client.ask('audio:toggle_mute'), { success: false, code: 'AUDIO_NO_SERVER' })
    const late = await host.client('viewer')
    const told = late.next('error')
    await late.ask('module:subscribe', { module: 'audio' })
    t.match(await told, { module: 'audio', code: 'AUDIO_NO_SERVER' }, 'who comes now hears it too')

    const found = shows(() => true)
    await session.start(server)
    const { output, availableOutputs, problem } = await found
    t.same({ output, availableOutputs, code: problem?.code }, { output: '', availableOutputs: [], code: 'AUDIO_NO_OUTPUT' })
    t.match(await client.ask('audio:set_volume', { level: 5 }), {
      success: false,
      code: 'AUDIO_NO_OUTPUT',
      error: /sound card/,
    })
    const there = shows(({ output, problem }) => output === 'new' && problem === null)
    await session.plug(server, 'new', 'New')
    await there
    const quiet = shows(({ volume }) => volume === 5)
    t.match(await client.ask('audio:set_volume', { level: 5 }), { success: true, level: 5, output: 'new' })
    await quiet
    t.match(await subscribed(await host.client('viewer')), { output: 'new', volume: 5 }, 'the snapshot')
  })
}
