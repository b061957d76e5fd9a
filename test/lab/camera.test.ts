// The camera on a real V4L2 device, vivid's test pattern: its driver finds it, streams it, has it pulled and put back while somebody
// watches, finds it busy and forbidden; then the plugin, as the installed service. One machine; the tests follow one another, each in the
// state that the one before has left.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { LabClient } from './client.ts'
import { bootMachine } from './machine.ts'
import { installPatchbay } from './patchbay.ts'

t.setTimeout(900_000)
const begun = performance.now()
const elapsed = (what: string) => t.comment(`${what}: ${Math.round((performance.now() - begun) / 1000)} s`)

const machine = await bootMachine(t, { ports: [8080], hardware: true, frozen: true })
elapsed('booted')
const work = await mkdtemp(join(tmpdir(), 'patchbay-camera-lab-'))
t.teardown(() => rm(work, { recursive: true }))
await build({
  entryPoints: [join(import.meta.dirname, 'inside/camera.ts')],
  outfile: join(work, 'camera.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  logLevel: 'error',
})
await machine.put(join(work, 'camera.mjs'), '/srv/camera.mjs')

async function sh(script: string, user = 'root', timeoutMs = 120_000): Promise<string> {
  const { code, output } = await machine.run(script, { user, timeoutMs })
  if (code !== 0) throw new Error(`exit code ${code} of ${script}:\n${output}`)
  return output.trimEnd()
}

/** A lens inside, in the hands of a test. */
const lens = {
  /** As a user who is, or is not, in the group that may use cameras. */
  async start(groups: string) {
    await sh(`rm -rf /run/lens; mkdir -m 777 /run/lens; cd /run/lens; mkfifo -m 666 in; install -m 666 /dev/null log
      setpriv --reuid=nobody --regid=nogroup ${groups} setsid node /srv/camera.mjs 0<>in >>log 2>&1 & echo $! >pid`)
    await lens.hears('"ready"')
  },
  /** Forgets what was said so far. */
  says: (word: string) => sh(`cd /run/lens; : >log; echo ${word} >in`),
  /** Resolves with the line. */
  hears: (pattern: string) =>
    sh(`for _ in {1..500}; do grep -m1 -E '${pattern}' /run/lens/log && exit; sleep 0.2; done; cat /run/lens/log; exit 1`),
  async end() {
    await sh('cd /run/lens; echo end >in; pid=$(cat pid); while [ -e /proc/$pid ]; do sleep 0.2; done')
  },
}
const video = '--groups=video'
/** As a cable is pulled: also from those who have it open. */
const pull = () => sh('echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind; until modprobe -r vivid; do sleep 0.2; done')
const putBack = () => sh('modprobe vivid')
/** Also what asks a camera that has come what it can has ended. */
const noProgram = () => sh('while pgrep -x ffmpeg; do sleep 0.2; done')

void t.test('it is found by its name, without being opened by those who may not', async (t) => {
  await lens.start(video)
  t.match(JSON.parse(await lens.hears('"what":"status".*"encoder":"libx264"')), {
    value: { camera: { kind: 'v4l2', name: 'vivid', id: /./, resolutions: ['480p', '720p', '1080p'] }, problem: null },
  })
  elapsed('found')
})

void t.test('a snapshot opens it for one picture', async (t) => {
  await lens.says('snapshot')
  const { value } = JSON.parse(await lens.hears('"what":"(snapshot|failed)"')) as { value: { bytes: number; age: number } }
  t.ok(value.bytes > 5000, JSON.stringify(value))
  t.ok(value.age < 60_000)
  await noProgram()
  elapsed('snapshot')
})

void t.test('whoever watches gets pictures', async () => {
  await lens.says('watch')
  await lens.hears('"seen":21')
  elapsed('streamed')
})

void t.test('pulled while somebody watches: that is said, and with the camera the picture comes back', async (t) => {
  await lens.says('')
  await pull()
  t.match(JSON.parse(await lens.hears('"what":"interrupted"')), { value: { code: 'CAMERA_UNPLUGGED', sentence: /vivid/ } })
  await lens.hears('"what":"cameras","value":\\[\\]')
  await lens.says('')
  await putBack()
  await lens.hears('"what":"resumed"')
  await lens.hears('"what":"seen"')
  elapsed('pulled and put back')
})

void t.test('it is let go after the last has left', async () => {
  await lens.says('leave')
  await lens.hears('"capturing":false')
  await noProgram()
  elapsed('let go')
})

void t.test('in use by another program of this user: that is named', async (t) => {
  await sh(
    `setpriv --reuid=nobody --regid=nogroup --groups=video v4l2-ctl --stream-mmap --stream-count=0 >/dev/null 2>&1 & echo $! >/run/other.pid; sleep 2`,
  )
  await lens.says('watch')
  t.match(JSON.parse(await lens.hears('"what":"(failed|watching)"')), { value: { code: 'CAMERA_BUSY', message: /v4l2-ctl/ } })
  await sh('kill $(cat /run/other.pid)')
  await lens.says('watch')
  await lens.hears('"what":"watching"')
  await lens.end()
  await noProgram()
  elapsed('busy')
})

void t.test('a user who may not use cameras is told which group to be in', async (t) => {
  await lens.start('--clear-groups')
  await lens.says('watch')
  t.match(JSON.parse(await lens.hears('"what":"(failed|watching)"')), {
    value: { code: 'CAMERA_PERMISSION', message: /group video/, mend: 'sudo usermod -aG video nobody' },
  })
  await lens.end()
})

void t.test('killed while it streams, it leaves nothing behind', async () => {
  await lens.start(video)
  await lens.says('watch')
  await lens.hears('"seen":1[,}]')
  await sh('pkill -KILL -f /srv/camera.mjs; while pgrep -x ffmpeg; do sleep 0.2; done')
  elapsed('killed')
})

void t.test(
  'the installed service has the camera: a snapshot is for whoever asked, and it is shown as it comes and goes',
  async (t) => {
    await installPatchbay(machine, { 1000: 'owner', 1001: 'owner' }, { off: ['audio', 'bluetooth', 'wifi', 'storage', 'system'] })
    elapsed('installed')
    const port = machine.ports.get(8080) as number
    const [client, other] = [await LabClient.connect(t, port, 1000), await LabClient.connect(t, port, 1001)]
    for (const one of [client, other]) t.match(await one.ask('module:subscribe', { module: 'camera' }), { success: true })
    type Cameras = { name: string; kind: string }[]
    t.match(await client.now<Cameras>('camera:cameras', ({ length }) => length === 1), [{ name: 'vivid', kind: 'v4l2' }])

    const shot = client.next<{ base64: string; timestamp: number }>('camera:snapshot_result')
    t.match(await client.ask('camera:snapshot'), { success: true })
    const { base64 } = await shot
    t.same([...Buffer.from(base64, 'base64').subarray(0, 3)], [0xff, 0xd8, 0xff])
    t.notOk(other.heard.some(([event]) => event === 'camera:snapshot_result'))
    elapsed('snapshot of the service')

    await pull()
    t.same(await client.now<Cameras>('camera:cameras', ({ length }) => length === 0), [])
    t.match(await client.ask('camera:snapshot'), { success: false, code: 'CAMERA_NOT_FOUND' })
    await putBack()
    t.match(await client.now<Cameras>('camera:cameras', ({ length }) => length === 1), [{ name: 'vivid' }])
    await noProgram()
  },
)
