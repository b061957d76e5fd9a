import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Daemon, hardwareOff, Place } from '../../../test/cli/daemon.ts'

t.setTimeout(240_000)

interface Process {
  readonly pid: number
  readonly parent: number
  readonly name: string
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')))
  return stats.flatMap((stat) => {
    const [, pid, name = '', state, parent] = /^(\d+) \((.*)\) (\S) (\d+)/s.exec(stat) ?? []
    return pid && state !== 'Z' ? [{ pid: Number(pid), parent: Number(parent), name }] : []
  })
}

/** All that a process has started, and what that has. */
async function descendants(pid: number): Promise<Process[]> {
  const all = await processes()
  const below = (parent: number): Process[] =>
    all.filter((one) => one.parent === parent).flatMap((child) => [child, ...below(child.pid)])
  return below(pid)
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 60_000; ; await delay(50)) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > end) throw new Error('It did not come about.')
  }
}
const goneAll = (them: readonly Process[]) =>
  until(async () => {
    const now = await processes()
    return them.every(({ pid }) => !now.some((one) => one.pid === pid)) || undefined
  })

/** A daemon that reads the simulated camera, for somebody who has asked for the picture. */
async function watched(t: Test): Promise<{ daemon: Daemon; started: Process[]; encoder: Process }> {
  const camera = { enabled: true, settings: { simulated: true, camera: 'simulated' } }
  const place = await Place.create(t, { plugins: { plugins: { ...hardwareOff, camera } } })
  const daemon = await place.start()
  const client = await daemon.client()
  await until(async () => {
    const { success } = await client.ask('module:subscribe', { module: 'camera' })
    const answer = success ? await client.ask('camera:start', { resolution: '480p' }) : undefined
    return answer?.success || undefined
  })
  const started = await descendants(daemon.program.child.pid as number)
  const encoder = started.find(({ name }) => name === 'ffmpeg') as Process
  t.ok(encoder, 'a program reads the camera')
  return { daemon, started, encoder }
}

void t.test('a daemon that is killed leaves nothing of the camera behind', async (t) => {
  const { daemon, started } = await watched(t)
  await daemon.program.kill('SIGKILL')
  await goneAll(started)
})

void t.test('a plugin’s process that is killed takes the camera’s program with it, and comes back', async (t) => {
  const { daemon, started, encoder } = await watched(t)
  const owner = started.find(({ pid }) => pid === encoder.parent) as Process
  process.kill(owner.pid, 'SIGKILL')
  await goneAll([owner, encoder])
  const client = await daemon.client()
  await client.ask('module:subscribe', { module: 'camera' })
  await until(async () => (await client.ask('camera:snapshot')).success || undefined)
})
