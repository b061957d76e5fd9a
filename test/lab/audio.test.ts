// Sound as the installer sets it up: the daemon in its sandbox, PipeWire in the session of a user of its own, ALSA's loopback card to
// hear with what is played. One machine; the tests follow one another.
import t from 'tap'
import type { AudioState } from '../../plugins/audio/driver/state.ts'
import { type Answer, LabClient } from './client.ts'
import { bootMachine } from './machine.ts'
import { checkout, installPatchbay } from './patchbay.ts'

t.setTimeout(900_000)

const machine = await bootMachine(t, { ports: [8080], hardware: true, frozen: true })

/** The output of a script that must succeed. */
async function sh(script: string, timeoutMs = 300_000): Promise<string> {
  const { code, output } = await machine.run(script, { timeoutMs })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}
/** What the sound server's own user is told. */
const pactl = (command: string) =>
  sh(`runuser -u patchbay-sound -- env LC_ALL=C XDG_RUNTIME_DIR=/run/user/$(id -u patchbay-sound) pactl ${command} 2>/dev/null`)

await installPatchbay(machine, { 1000: 'owner' }, { sound: true })
const client = await LabClient.connect(t, machine.ports.get(8080) as number, 1000)
/** The answer to a command; once more where a program did not get its turn in time, in here and with a loaded machine below. */
async function ask(command: string, payload?: object): Promise<Answer> {
  const answer = await client.ask(command, payload)
  return answer.code === 'AUDIO_FAILED' || answer.code === 'TIMEOUT' ? ask(command, payload) : answer
}
const now = (fits: (state: AudioState) => boolean) => client.now<AudioState>('audio:state', fits)
const next = (fits: (state: AudioState) => boolean) => client.next<AudioState>('audio:state', fits)

let loopback = ''
let other = ''

void t.test('the service finds the sound cards, through a session that has nobody logged in', async (t) => {
  t.match(await client.ask('module:subscribe', { module: 'audio' }), { success: true, state: 'running' })
  const { availableOutputs, problem } = await now(({ availableOutputs }) => availableOutputs.length >= 2)
  t.comment(availableOutputs)
  t.equal(problem, null)
  for (const { type } of availableOutputs) t.equal(type, 'analog')
  loopback = availableOutputs.find(({ id }) => /aloop/i.test(id))?.id ?? ''
  other = availableOutputs.find(({ id }) => id !== loopback)?.id ?? ''
  t.ok(loopback && other)
  t.equal(await sh('loginctl show-user -P Linger patchbay-sound'), 'yes')
})

void t.test('of that session the service sees one socket, and it cannot begin one of its own', async (t) => {
  const inside =
    'nsenter --mount --target $(systemctl show -P MainPID patchbay) --setuid $(id -u patchbay) --setgid $(id -g patchbay)'
  t.equal(await sh(`${inside} find /run/patchbay-sound -type s`), '/run/patchbay-sound/pulse/native')
  t.not((await machine.run(`${inside} ls /run/user/$(id -u patchbay-sound)`)).code, 0)
  t.not((await machine.run('ls /run/patchbay-sound/pulse', { user: 'nobody' })).code, 0, 'nobody else gets there')
  t.equal((await machine.run('test -e /var/lib/systemd/linger/patchbay')).code, 1)
})

void t.test('volume and output of real cards', async (t) => {
  for (const device of [other, loopback]) t.match(await ask('audio:set_output', { device }), { success: true, output: device })
  t.equal(await pactl('get-default-sink'), loopback)
  t.match(await ask('audio:set_volume', { level: 60 }), { success: true, level: 60, output: loopback })
  t.match(await pactl('get-sink-volume @DEFAULT_SINK@'), / 60% /)
  const shown = next(({ volume }) => volume === 35)
  await pactl('set-sink-volume @DEFAULT_SINK@ 35%')
  t.match(await shown, { volume: 35, output: loopback })
})

void t.test('the test sound arrives at the other end of the loopback cable', async (t) => {
  await ask('audio:set_volume', { level: 100 })
  // In the form in which PipeWire sends, each channel by itself: the cable does not convert.
  await sh(`arecord -q -I -D hw:CARD=Loopback,DEV=1 -t raw -f S32_LE -r 48000 -c 2 /run/heard 2>/run/arecord.said & echo $! >/run/arecord.pid
    until grep -q RUNNING /proc/asound/Loopback/pcm1c/sub0/status; do sleep 0.1; done`)
  t.match(await ask('audio:test_sound'), { success: true, output: loopback })
  const measured = `
    const pcm = require('fs').readFileSync('/run/heard.0')
    const samples = Array.from({ length: Math.floor(pcm.length / 4) }, (_, i) => pcm.readInt32LE(4 * i) / 2 ** 31)
    const rises = samples.flatMap((sample, i) => (sample > 0.01 && samples[i - 1] <= 0.01 ? i : []))
    const periods = rises.map((rise, i) => rise - rises[i - 1]).slice(1).sort((a, b) => a - b)
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
    console.log(JSON.stringify({ peak, hz: 48000 / periods[periods.length >> 1], rises: rises.length }))`
  t.equal(await sh('sleep 2; kill -INT $(cat /run/arecord.pid) || cat /run/arecord.said; sleep 1'), '', 'it recorded until now')
  const heard = JSON.parse(await sh(`cat <<'E' | node -\n${measured}\nE`))
  t.comment(heard)
  t.ok(Math.abs(heard.peak - 0.25) < 0.03, 'a quarter of full scale')
  t.ok(Math.abs(heard.hz - 880) < 15, 'its pitch')
  t.ok(heard.rises > 0.5 * 880, 'most of 0.8 s of it')
})

void t.test('a card that is pulled is fallen back from', async (t) => {
  const shown = next(({ output, missing }) => output === other && missing?.id === loopback)
  // The recorder has let go of it by now; PipeWire lets go when it is told that the card is gone.
  await sh('echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/unbind')
  t.notOk((await shown).availableOutputs.some(({ id }) => id === loopback))
  const back = next(({ availableOutputs }) => availableOutputs.some(({ id }) => id === loopback))
  await sh('echo snd_aloop.0 >/sys/bus/platform/drivers/snd_aloop/bind')
  await back
})

void t.test('the sound server is restarted, and then the whole session', async (t) => {
  const lost = client.next<{ code: string }>('error', ({ code }) => code === 'AUDIO_NO_SERVER')
  const found = lost.then(() => next(({ availableOutputs }) => availableOutputs.length >= 2))
  await sh('systemctl restart user@$(id -u patchbay-sound).service')
  t.match(await lost, { module: 'audio', message: /patchbay-sound/ })
  await found
  t.match(await ask('audio:set_volume', { level: 20 }), { success: true, level: 20 })
})

void t.test('taken out, it takes the session along', async (t) => {
  await sh(`cd ${checkout} && scripts/uninstall.sh --purge`)
  t.equal((await machine.run('id patchbay-sound')).code, 1)
  t.equal(
    await sh('ls -d /run/patchbay-sound /var/lib/patchbay-sound /var/lib/systemd/linger/patchbay-sound 2>/dev/null | xargs'),
    '',
  )
})
