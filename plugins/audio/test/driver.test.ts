// What real servers do not do when a test wants it. The words are those of pactl 16.1.
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { failing, fakeExec } from '../../../core/testing/fakes.ts'
import { absentOutput } from '../driver/absence.ts'
import { channelsAt, percent } from '../driver/devices.ts'
import { follow, type Listener } from '../driver/follow.ts'
import { createLatest } from '../driver/latest.ts'
import { createSound } from '../driver/sound.ts'
import { createStates } from '../driver/state.ts'

const sink = {
  index: 7,
  name: 'one',
  description: 'One',
  mute: false,
  volume: { 'front-left': { value: 65536 } },
  properties: {},
  ports: [
    { name: 'analog-output-lineout', description: 'Line Out', type: 'Line' },
    { name: 'analog-output-headphones', description: 'Headphones', type: 'Headphones' },
  ],
  active_port: 'analog-output-headphones',
  flags: ['HARDWARE'],
}
const server = {
  'pactl --format=json info': { stdout: '{"default_sink_name":"one","default_source_name":"one.monitor"}' },
  'pactl --format=json list sinks': { stdout: JSON.stringify([sink]) },
  'pactl --format=json list sources': { stdout: '[{"name":"one.monitor","monitor_source":"one"}]' },
}

void t.test('what pactl says in the end becomes a code', async (t) => {
  const said = [
    ['Connection failure: Access denied\n', 'AUDIO_PERMISSION', /belongs to another user/],
    ['Connection failure: Connection refused\npa_context_connect() failed: Connection refused\n', 'AUDIO_NO_SERVER', /lingering/],
    ['Failed to get sink information: No such entity\n', 'AUDIO_OUTPUT_NOT_FOUND', /no such output/],
    ['Failure: Timeout\n', 'AUDIO_FAILED', /did not do it/],
  ] as const
  for (const [stderr, code, message] of said) {
    const sound = createSound(fakeExec({ ...server, 'pactl set-sink-mute one 1': { exitCode: 1, stderr } }))
    await t.rejects(sound.toggleMute(), { code, message })
  }
})

void t.test('a server that hangs, or says what is not understood, is a failure and no crash', async (t) => {
  for (const answer of [failing({ code: 'ETIMEDOUT' }), { stdout: '{"index' }]) {
    const sound = createSound(fakeExec({ ...server, 'pactl --format=json list sinks': answer }))
    await t.rejects(sound.setVolume(5), { code: 'AUDIO_FAILED' })
    t.match(await sound.problem(), { code: 'AUDIO_FAILED' })
  }
  for (const nonsense of ['{}', '[null, 3, {}]', '[{"name":7,"volume":[],"ports":5}]']) {
    const exec = fakeExec({ ...server, 'pactl --format=json list sinks': { stdout: nonsense } })
    await t.rejects(createSound(exec).setVolume(5), { code: 'AUDIO_NO_OUTPUT' })
  }
})

void t.test('a server that does not do what it was told is found out', async (t) => {
  const exec = fakeExec({ ...server, 'pactl set-sink-volume one 32768': {}, 'pactl set-sink-mute one 1': {} })
  t.same(await createSound(exec).setVolume(50), { level: 100, output: 'one' }, 'the level is what is really set')
  t.same(await createSound(exec).toggleMute(), { muted: false })
  const two = JSON.stringify([sink, { ...sink, name: 'two' }])
  const stubborn = fakeExec({ ...server, 'pactl --format=json list sinks': { stdout: two }, 'pactl set-default-sink two': {} })
  await t.rejects(createSound(stubborn).setOutput('two'), { code: 'AUDIO_FAILED', message: /keeps another output/ })
})

void t.test('a stream that cannot be moved hinders no other; what the server plays itself is left alone', async (t) => {
  const streams = [
    { index: 1, sink: 3, client: '9' },
    { index: 2, sink: 3, client: '9' },
    { index: 3, sink: 3, client: 'n/a' },
    { index: 4, sink: 3, client: null },
    { index: 5, sink: 7, client: '9' },
  ]
  const exec = fakeExec({
    ...server,
    'pactl set-default-sink one': {},
    'pactl --format=json list sink-inputs': { stdout: JSON.stringify(streams) },
    'pactl move-sink-input 1 one': { exitCode: 1, stderr: 'Failure: Operation not supported\n' },
    'pactl move-sink-input 2 one': {},
  })
  t.same(await createSound(exec).setOutput('one'), { output: 'one' })
  t.same(
    exec.calls.filter(({ args }) => args[0] === 'move-sink-input').map(({ args }) => args[1]),
    ['1', '2'],
  )
})

void t.test('a tone that is not played is no success; two who ask hear one', async (t) => {
  const { signal } = new AbortController()
  const broken = fakeExec({ ...server, pacat: { exitCode: 1, stderr: 'Stream error: Entity killed\n' } })
  await t.rejects(createSound(broken).testSound(signal), { code: 'AUDIO_FAILED' })
  const exec = fakeExec({ ...server, pacat: { exitCode: 0 } })
  const sound = createSound(exec)
  t.same(await Promise.all([sound.testSound(signal), sound.testSound(signal)]), [{ output: 'one' }, { output: 'one' }])
  t.equal(exec.inputs.length, 1)
  // 0.8 s of two channels of 16 bits at 48 kHz
  t.equal(exec.inputs[0]?.length, 0.8 * 48_000 * 4)
})

void t.test('what is plugged in is told by the active port', async (t) => {
  const end = new AbortController()
  const state = await new Promise((resolve, reject) => {
    const listener: Listener = { onState: resolve, onFailure: reject }
    void follow(
      fakeExec({ ...server, 'pactl --format=json subscribe': { stdout: '{"index":1,"event":"new","on":"client"}' } }),
      end.signal,
      listener,
    )
  })
  end.abort()
  t.match(state, { availableOutputs: [{ id: 'one', type: 'analog', port: 'Headphones' }], microphone: null })
})

void t.test('a failure is told once, however often the server is looked for; events may come in pieces', async (t) => {
  const end = new AbortController()
  const told: string[] = []
  let attempts = 0
  let say = (_: Uint8Array) => {}
  let change = () => {}
  const sinks = { ...sink }
  const gone = { exitCode: 1, stderr: 'Connection failure: Connection refused\n' }
  const exec = fakeExec({
    ...server,
    'pactl --format=json list sinks': () => (attempts < 3 ? gone : { stdout: JSON.stringify([sinks]) }),
    'pactl --format=json subscribe': (_args, { onStdout = () => {} }) => {
      say = onStdout
      return ++attempts < 3 ? gone : {}
    },
  })
  const listener: Listener = {
    onState: ({ muted }) => {
      told.push(`muted ${muted}`)
      change()
    },
    onFailure: ({ code }) => void told.push(code),
  }
  const following = follow(exec, end.signal, listener)
  const next = () =>
    new Promise<void>((resolve) => {
      change = resolve
    })
  await next()
  say(Buffer.from('{"index":1,"event":"new","on":"client"}{"index":7,"ev'))
  sinks.mute = true
  const muted = next()
  say(Buffer.from('ent":"change","on":"sink"}'))
  await muted
  end.abort()
  await following
  t.equal(attempts, 3)
  t.same(told, ['AUDIO_NO_SERVER', 'muted false', 'muted true'])
})

void t.test('why there is no output: no card, no right to the cards, or a server that does not use them', async (t) => {
  const dir = t.testdir({ seq: '', controlC0: '' })
  t.match(await absentOutput(dir), { code: 'AUDIO_NO_OUTPUT', message: /no sound card/, mend: undefined })
  t.match(await absentOutput(join(dir, 'missing')), { message: /no sound card/ })
  // Root may open everything that is there.
  symlinkSync('/nonexistent', join(dir, 'pcmC0D0p'))
  t.match(await absentOutput(dir), { message: /may not use .* group audio/, mend: /usermod -aG audio/ })
  writeFileSync(join(dir, 'pcmC1D0p'), '')
  t.match(await absentOutput(dir), { message: /uses none of the sound cards/ })
})

void t.test('percent and proportion', (t) => {
  t.equal(percent({ channels: [98_304, 0] }), 100)
  t.equal(percent({ channels: [] }), 0)
  t.same(channelsAt(50, [65_536, 32_768]), [32_768, 16_384])
  t.same(channelsAt(50, [0, 0]), [32_768, 32_768], 'nothing is known of the balance')
  t.end()
})

void t.test('sound falls back: from where is told until that is back, or another output is chosen', async (t) => {
  const device = (id: string) => ({ id, name: id, type: 'usb' as const, port: null, index: 1, muted: false, channels: [65_536] })
  const [a, b, c] = [device('a'), device('b'), device('c')]
  const state = createStates()
  const missing = async (outputs: Array<typeof a>, active?: typeof a) =>
    (await state({ outputs, active, microphone: undefined })).missing?.id ?? null
  t.equal(await missing([a, b, c], a), null)
  t.equal(await missing([b, c], undefined), null, 'for a moment there is none')
  t.equal(await missing([b, c], b), 'a')
  t.equal(await missing([b, c], b), 'a')
  t.equal(await missing([b, c], c), null, 'chosen')
  t.equal(await missing([b], b), 'c')
  t.equal(await missing([b, c], b), null, 'it is back')
})

void t.test('of what waits for a key the newest is done, after everything older; what fails fails alone', async (t) => {
  const done: string[] = []
  const ask = createLatest(async (key: string, value: number) => {
    done.push(`${key}${value}`)
    await Promise.resolve()
    if (value < 0) throw new Error('no')
    return value
  })
  const answers = await Promise.allSettled([ask('a', 1), ask('a', 2), ask('b', 3), ask('a', 4), ask('c', -1), ask('b', 5)])
  t.same(done, ['a1', 'a4', 'c-1', 'b5'])
  t.same(
    answers.map((each) => (each.status === 'fulfilled' ? each.value : 'failed')),
    [1, 4, 5, 4, 'failed', 5],
  )
  t.equal(await ask('a', 6), 6)
})
