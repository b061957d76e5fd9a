import { readFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { asksFor } from '../../core/lifecycle/grants.ts'
import type { Contract } from '../../core/plugin/contract.ts'
import { hardwareOff, Place, reached } from '../cli/daemon.ts'
import { PrivateBus, serve } from '../support/bus.ts'
import { isAlive, until, writeHostile } from './lab.ts'

t.setTimeout(240_000)

/** The daemon as it is shipped, started from a terminal, with the hostile plugin in a process of its own. */
async function withDaemon(t: Test, contract: Partial<Contract> = {}, env: Readonly<Record<string, string>> = {}) {
  const hostile = { enabled: true, runIn: 'process', grants: asksFor(contract as Contract) }
  const place = await Place.create(t, { plugins: { plugins: { ...hardwareOff, hostile } } })
  await writeHostile(join(place.dataDir, 'plugins/hostile'), contract)
  const daemon = await place.start([], env)
  const client = await daemon.client()
  const row = await reached(client, 'hostile', 'running')
  const { pid, ppid } = await client.ask('hostile:ping')
  t.equal(ppid, daemon.program.child.pid)
  const attempt = async (what: string, args: object) => (await client.ask('hostile:do', { what, args }))['outcome']
  return { place, daemon, client, row, pid: pid as number, attempt }
}

const listens = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

void t.test('it inherits no secret, no descriptor of the daemon’s, and no capability that it does not name', async (t) => {
  const { client, place } = await withDaemon(t)
  const { environment, argv, execArgv, descriptors, context } = (await client.ask('hostile:do', {
    what: 'inherited',
  })) as unknown as {
    environment: Record<string, string>
    argv: string[]
    execArgv: string[]
    descriptors: { outcome: string[] | string }
    context: string[]
  }
  t.same(
    Object.keys(environment).filter((name) => /token|secret|credential|patchbay_(?!run)|notify|listen/i.test(name)),
    [],
  )
  const all = JSON.stringify([environment, argv, execArgv])
  t.notOk(all.includes(place.env['TELEGRAM_BOT_TOKEN'] as string))
  for (const name of ['dbus', 'exec', 'host']) t.notOk(context.includes(name), `no ${name}`)
  // Where it may not look there is nothing to tell.
  for (const path of Array.isArray(descriptors.outcome) ? descriptors.outcome : [])
    t.match(path, /^(\/dev\/null|pipe:|socket:|anon_inode:|\/proc\/\d+\/fd$|\/dev\/(u?random|pts)|.*io_uring)/, path)
})

void t.test('the inspector signal opens nothing in the daemon', async (t) => {
  const { daemon, attempt, client } = await withDaemon(t)
  const wasOpen = await listens(9229)
  t.equal(await attempt('signalParent', { signal: 'SIGUSR1' }), 'sent')
  t.equal((await client.ask('hostile:ping')).success, true)
  t.notMatch(daemon.program.stderr, /Debugger listening/)
  if (!wasOpen) t.equal(await attempt('reach', { port: 9229, host: '127.0.0.1' }), 'ECONNREFUSED')
})

void t.test('what it may signal it may end: the daemon stops in order, or is started again with its sessions', async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const { place, daemon, client, pid } = await withDaemon(t)
    const { sessionToken } = client
    client.socket.emit('hostile:do', { what: 'signalParent', args: { signal } })
    t.equal(await daemon.program.exited, signal === 'SIGTERM' ? 0 : signal)
    await until(() => !isAlive(pid), 'its process outlives the daemon')
    const next = await place.start()
    t.match(
      await (await next.client(sessionToken)).ask('host:sessions'),
      { success: true },
      `${signal}: who was logged in still is`,
    )
  }
})

void t.test(
  'files of the daemon are closed where it says that Node.js keeps them, and else it says that it is not contained',
  async (t) => {
    const { place, client, row, attempt } = await withDaemon(t)
    const own = ['access.json', 'plugins.json'].map((name) => join(place.configDir, name))
    const files = [...own, join(place.dataDir, 'sessions.json'), '/proc/PPID/environ', '/proc/PPID/maps', '/etc/passwd']
    const before = await readFile(own[0] as string, 'utf8')
    const outcomes = new Set<unknown>()
    for (const path of files) outcomes.add(await attempt('read', { path }))
    for (const path of own) outcomes.add(await attempt('openToWrite', { path }))
    outcomes.add(await attempt('list', { path: place.configDir }))
    const isHeld = (row as { readonly containment?: { readonly level: string } }).containment?.level === 'partly'
    t.same([...outcomes], isHeld ? ['ERR_ACCESS_DENIED'] : ['read', 'opened', 'listed'])
    if (isHeld) {
      const text = before.replace('"1000"', '"1"')
      t.equal(await attempt('write', { path: own[0], text }), 'ERR_ACCESS_DENIED', 'it makes nobody an owner')
    }
    t.equal(await readFile(own[0] as string, 'utf8'), before)
    t.match(await client.ask('hostile:ping'), { success: true })
  },
)

void t.test(
  'of D-Bus its context has what it was granted; beside it the bus and other sockets are open, which only a service closes',
  async (t) => {
    const bus = await new PrivateBus(t).start()
    const calls: string[] = []
    const note = (name: string) => ({ handler: () => void calls.push(name) })
    await serve(bus, 'org.freedesktop.login1', { PowerOff: note('logind') })
    await serve(bus, 'org.example.Lamp', { Switch: note('lamp') })
    const { place, client, attempt } = await withDaemon(
      t,
      { capabilities: { dbus: ['org.example.Lamp'] } },
      { DBUS_SYSTEM_BUS_ADDRESS: bus.address },
    )
    t.equal(await attempt('callBus', { service: 'org.example.Lamp', method: 'Switch' }), 'called')
    t.match(await attempt('callBus', { service: 'org.freedesktop.login1', method: 'PowerOff' }), /AccessDenied/)
    t.same(calls, ['lamp'])

    const helper = createServer((socket) => socket.end())
    helper.listen(join(place.dir, 'helper'))
    t.teardown(() => helper.close())
    for (const path of [bus.socket, join(place.dataDir, 'control/socket'), join(place.dir, 'helper')])
      t.equal(await attempt('reach', { path }), 'connected', path)
    t.match(await client.ask('hostile:ping'), { success: true })
  },
)
