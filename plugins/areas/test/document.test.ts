import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import vm from 'node:vm'
import { io } from 'socket.io-client'
import t from 'tap'
import { startAreas, until } from './lab.ts'

t.setTimeout(120_000)

/** What a host that serves this contract alone has in its files. */
const alone = { namespaces: { areas: '/' }, host: { namespace: '/patchbay' } }
const snippet = async (name: string) => {
  const text = await readFile(new URL(`fixtures/${name}`, import.meta.url), 'utf8')
  return text.replace(/^import io from 'socket.io-client';$/m, '')
}

void t.test('the quick start of the document, as it stands', async (t) => {
  const { host, admin, token } = await startAreas(t, alone)
  await admin('POST areas', { id: 'area_123', name: 'Kitchen', entityIds: ['light.kitchen'] })
  const said: string[] = []
  const kept = new Map([['client_token', await token('client_1234567890')]])
  const window = { location: { href: '' } }
  const sockets: Array<ReturnType<typeof io>> = []
  t.teardown(() => {
    for (const socket of sockets) socket.close()
  })
  const note = (...words: unknown[]) => void said.push(words.join(' '))
  vm.runInNewContext(await snippet('quick-start.txt'), {
    // The document's server stands for this one.
    io: (url: string, options: object) => {
      t.equal(url, 'https://backend-url')
      const socket = io(host.url, options)
      sockets.push(socket)
      return socket
    },
    console: { log: note },
    localStorage: { getItem: (key: string) => kept.get(key), removeItem: (key: string) => kept.delete(key) },
    refreshAreas: () => note('refresh'),
    enableAreaInUI: note,
    alert: (message: string) => note('alert', message),
    window,
  })
  await until(() => said.includes('Connected as: client_1234567890'))
  await admin('PUT clients/client_1234567890/areas/area_123')
  // As in the document's manual test.
  const { stdout } = await promisify(execFile)('curl', [
    '-sS',
    ...['-X', 'PUT', `${host.url}/api/areas/area_123`],
    ...['-H', `Authorization: Bearer ${await host.token('areas', ['admin'])}`],
    ...['-H', 'Content-Type: application/json'],
    ...['-d', '{"name": "Kitchen (Updated)"}'],
  ])
  t.match(JSON.parse(stdout), { success: true, area: { id: 'area_123', name: 'Kitchen (Updated)' } })
  await until(() => said.includes('Area updated: Kitchen (Updated)') && said.includes('refresh'))
  await admin('PATCH areas/area_123/toggle')
  await admin('PATCH areas/area_123/toggle')
  await until(() => said.includes('Area enabled: Kitchen (Updated)') && said.includes('area_123'))
  await admin('POST clients/client_1234567890/revoke')
  await until(() => window.location.href === '/pairing')
  t.notOk(kept.has('client_token'))
  t.match(said.at(-1), /^alert .+\.$/)
  await until(() => sockets.every(({ connected }) => !connected))
  const { stdout: verified } = await promisify(execFile)('curl', [
    '-sS',
    ...['-o', '/dev/null', '-w', '%{http_code}', `${host.url}/api/auth/verify`],
    ...['-H', `Authorization: Bearer ${await token('another')}`],
  ])
  t.equal(verified, '200')
})

void t.test('its automated test, as it stands', async (t) => {
  const { host, admin, token } = await startAreas(t, alone)
  await admin('POST areas', { id: 'area_123', name: 'Kitchen' })
  const clientToken = await token('client_123')
  // So that the client has the area before the document's test connects it.
  const first = io(host.url, { auth: { token: clientToken } })
  await new Promise((resolve) => first.once('connected', resolve))
  first.close()
  await until(async () => (await admin('GET clients/client_123')).client?.connections === 0)
  await admin('PUT clients/client_123/areas/area_123')
  const bodies: Array<(done: () => void) => void> = []
  let connected: Promise<unknown> = Promise.resolve()
  vm.runInNewContext(await snippet('automated-testing.txt'), {
    io: (url: string, options: object) => {
      t.equal(url, 'http://localhost:8443')
      const socket = io(host.url, options)
      connected = new Promise((resolve) => socket.once('connected', resolve))
      return socket
    },
    clientToken,
    describe: (name: string, body: () => void) => {
      t.equal(name, 'WebSocket Events')
      body()
    },
    it: (_: string, body: (done: () => void) => void) => bodies.push(body),
    expect: (value: unknown) => ({ toBe: (wanted: unknown) => t.equal(value, wanted) }),
    updateAreaViaAPI: (id: string, changes: object) => void connected.then(() => admin(`PATCH areas/${id}`, changes)),
  })
  t.equal(bodies.length, 1)
  for (const body of bodies) await new Promise<void>((resolve) => body(resolve))
})
