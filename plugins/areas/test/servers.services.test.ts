import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PrivatePostgres } from '../../../test/support/postgres.ts'
import { gone, type Lab, type Listener, listen, startAreas, until } from './lab.ts'

t.setTimeout(300_000)

/** A redis-server of the test's own (Debian's package redis-server). */
async function startRedis(t: Test): Promise<string> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-redis-'))
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', dir]
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await once(server, 'exit')
    await rm(dir, { recursive: true, force: true })
  })
  await new Promise<void>((resolve) => {
    server.stdout.on('data', (text) => {
      if (String(text).includes('Ready to accept connections')) resolve()
    })
  })
  return `redis://127.0.0.1:${port}`
}

const ids = ({ heard }: Listener) => heard.flatMap(({ data }) => (data.eventId === undefined ? [] : [Number(data.eventId)]))

async function startTwo(t: Test): Promise<[Lab, Lab]> {
  const [{ url: storeUrl }, redisUrl] = [await new PrivatePostgres(t).start(), await startRedis(t)]
  const ownKeyFile = join(t.testdir(), 'key')
  await writeFile(ownKeyFile, 'a key that both hosts have, of more than 32 bytes', { mode: 0o600 })
  const options = { storeUrl, redisUrl, auth: { areas: { ownKeyFile } } }
  return [await startAreas(t, options), await startAreas(t, { ...options, runIn: 'process' })]
}

void t.test(
  'on two hosts every client hears of its areas, whichever host it and the admin are on, in order and once',
  async (t) => {
    const [one, other] = await startTwo(t)
    await one.admin('POST areas', { id: 'hall', name: 'Hall' })
    t.match(await other.admin('GET areas'), { areas: [{ id: 'hall' }] })
    const here = await one.client('here', ['hall'])
    const there = await other.client('there')
    await one.admin('PUT clients/there/areas', { areaIds: ['hall'] })
    await there.next('area_added')
    const idle = await other.client('idle')
    // Both admins at once.
    const change = (lab: Lab, i: number) => lab.admin(`PUT areas/hall`, { name: `Hall ${i}` })
    for (let i = 0; i < 20; i++) await Promise.all([change(one, i), change(other, i)])
    await until(() => ids(here).length >= 41 && ids(there).length >= 41)
    const all = Array.from({ length: 41 }, (_, i) => i + 1)
    t.same([ids(here), ids(there)], [all, all])
    t.same(idle.take(), [])

    // To the other host, with what it missed.
    here.close()
    await change(one, 21)
    const moved = await other.client('here', [], { lastEventId: '41' })
    await change(one, 22)
    await until(() => ids(moved).length >= 2)
    t.same(ids(moved), [42, 43])

    const ended = gone(there)
    await one.admin('POST clients/there/revoke')
    await there.next('token_revoked')
    await ended
    t.ok(moved.socket.connected)
  },
)

void t.test('a device that waits on one host is approved on the other', async (t) => {
  const [one, other] = await startTwo(t)
  const { code, secret } = (await one.ask(undefined, 'POST pairing/requests', { name: 'Tablet' })) as unknown as Record<
    string,
    string
  >
  const device = listen(t, one.url, { token: secret })
  await device.next('connected')
  const { client } = await other.admin('POST pairing/approve', { code, areaIds: [] })
  const { token, clientId } = await device.next('pairing_completed')
  t.equal(clientId, client?.id)
  await listen(t, other.url, { token }).next('connected')
})
