import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { io as dial, type Socket } from 'socket.io-client'
import t, { type Test } from 'tap'
import { Access } from '../../../core/auth/access.ts'
import { Sessions } from '../../../core/auth/sessions.ts'
import { Guard } from '../../../core/http/guard.ts'
import type { Contract } from '../../../core/plugin/contract.ts'
import { Connections } from '../../../core/wire/connections.ts'
import { Door } from '../../../core/wire/door.ts'
import { Hub } from '../../../core/wire/hub.ts'
import { type Group, Module } from '../../../core/wire/module.ts'
import { Observers } from '../../../core/wire/observers.ts'
import type { Policy } from '../../../core/wire/policy.ts'
import { Road } from '../../../core/wire/road.ts'
import { subscriptionCommands } from '../../../core/wire/subscriptions.ts'
import { type Heard, once, until } from './lab.ts'

/** The wire alone, with a policy that is not Patchbay's own: to connect is to subscribe, and a name is enough. */
async function startWire(t: Test, openPolicy: Partial<Policy> = {}) {
  const logged: Heard[] = []
  const write = (fields: object, message?: string) => void logged.push({ ...fields, message })
  const log = { debug: write, info: write, warn: write, error: write }
  const sessions = new Sessions({
    file: `${t.testdir()}/sessions.json`,
    ages: () => ({ idleS: 60, absoluteS: 60 }),
    onProblem: () => {},
    onReuse: () => {},
  })
  const access = () => new Access({ users: {}, roles: {} })
  const limits = {
    sockets: 10,
    socketsPerAddress: 10,
    pendingPerAddress: 10,
    socketsPerUser: 10,
    failuresPerMinute: 10,
    messageBytes: 1,
    inFlightPerUser: 1,
    backlogMessages: 1,
  }
  const open: Policy = {
    name: 'open',
    subscriptions: false,
    admit: ({ auth }) => {
      const userId = `open:${(auth as { name?: string }).name}`
      return { session: sessions.create({ userId, user: { id: 0, firstName: userId }, claims: {} }).session, roles: ['viewer'] }
    },
    rolesOf: () => ['viewer'],
    ...openPolicy,
  }
  const server = createServer()
  const io = new Server(server)
  const door = new Door({ guard: new Guard(() => ({ hosts: [], origins: [], trustedProxies: [] })), limits: () => limits, log })
  const patchbay = { ...open, name: 'patchbay', subscriptions: true }
  const policies = new Map([
    ['open', () => open],
    ['patchbay', () => patchbay],
  ])
  const observers = new Observers(log)
  const hub: Hub = new Hub({
    io,
    policies,
    coreCommands: subscriptionCommands(() => hub, access),
    access,
    maxBacklog: () => 100,
    observers,
  })
  const find = (namespace: string, name: string) => hub.find(namespace, name)
  const road = new Road({ access, inFlightPerUser: () => 10, find, log, observers, development: false })
  const connections = new Connections({ hub, road, door, sessions, observers, log })
  hub.onNamespace = (namespace) => connections.serve(namespace)
  door.attach(io)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    await io.close()
    await sessions.close()
  })
  const connect = (namespace: string, name = 'anna'): Socket => {
    const socket = dial(`http://127.0.0.1:${(server.address() as AddressInfo).port}${namespace}`, {
      auth: { name },
      forceNew: true,
      transports: ['websocket'],
      reconnection: false,
    })
    t.teardown(() => socket.close())
    return socket
  }
  return { hub, sessions, connections, connect, logged }
}

const lab: Contract = {
  id: 'lab',
  policy: 'open',
  commands: { go: { roles: ['viewer'] } },
  events: { news: { payload: {}, retained: true } },
}
const publish = (hub: Hub, module: Module, name: string, payload: unknown) => {
  const group = module.groups.get('') as Group
  hub.publish(module, group, name, group.events.get(name) as never, payload)
}

void t.test('where a policy of another kind rules, to connect is to subscribe', async (t) => {
  const { hub, connect } = await startWire(t)
  const module = new Module(lab, '/open')
  const life: string[] = []
  module.audience = { joined: () => life.push('joined'), last: () => life.push('last'), left: () => undefined }
  t.equal(hub.add(module), undefined)
  publish(hub, module, 'news', 1)
  const socket = connect('/open')
  t.strictSame(await once(socket, 'news'), [1])
  t.strictSame(life, ['joined'])
  const answer = (await socket.timeout(5000).emitWithAck('module:subscribe', { module: 'lab' })) as Heard
  t.match(answer, { code: 'UNKNOWN_COMMAND' }, 'there is no other way to')

  const second = new Module({ id: 'second', policy: 'open', events: { more: { payload: {}, retained: true } } }, '/open')
  publish(hub, second, 'more', 2)
  const more = once(socket, 'more')
  t.equal(hub.add(second), undefined)
  t.strictSame(await more, [2], 'a module that comes later is heard too')

  const gone = once(socket, 'disconnect')
  hub.remove(module)
  t.strictSame(life, ['joined', 'last'])
  t.ok(socket.connected)
  hub.remove(second)
  await gone
  t.strictSame([hub.clients.size, hub.modules.size, hub.mounts.size], [0, 0, 0], 'a namespace without modules is closed')
})

void t.test('a module whose id, policy, namespace or names are taken is refused, and nothing has changed', async (t) => {
  const { hub } = await startWire(t)
  t.equal(hub.add(new Module(lab, '/open')), undefined)
  const refused = (more: Partial<Contract>, mount = '/open') =>
    hub.add(new Module({ id: 'other', policy: 'open', ...more }, mount))
  t.equal(refused({ id: 'lab' }, '/elsewhere'), 'another plugin with the id "lab" is mounted on /open')
  t.equal(refused({ policy: 'unheard' }), 'its auth policy "unheard" is not known to this host')
  t.equal(refused({ policy: 'patchbay' }), 'the namespace /open has the auth policy "open", not "patchbay"; mount it elsewhere')
  for (const name of ['go', 'news']) {
    t.equal(refused({ commands: { [name]: {} } }), `"${name}" on the namespace /open belongs to the plugin "lab"`)
    t.equal(refused({ events: { [name]: {} } }), `"${name}" on the namespace /open belongs to the plugin "lab"`)
  }
  t.equal(
    refused({ namespaces: { open: { commands: { go: {} } } } }, '/'),
    '"go" on the namespace /open belongs to the plugin "lab"',
  )
  t.strictSame([...hub.modules.keys(), ...hub.mounts.keys()], ['lab', '/open'])
  t.equal(refused({ commands: { stay: {} } }), undefined)
  t.ok(hub.find('/open', 'stay') && hub.find('/open', 'go'))
})

void t.test('a policy that breaks lets nobody in and says nothing of itself', async (t) => {
  const { hub, connect, logged } = await startWire(t, {
    admit: () => {
      throw new Error('/etc/secret')
    },
  })
  hub.add(new Module(lab, '/open'))
  const [error] = await once(connect('/open'), 'connect_error')
  t.equal(error.message, 'AUTH_INVALID')
  t.strictSame(error.data, { code: 'AUTH_INVALID', reason: 'The login could not be checked.' })
  t.ok(logged.some(({ message }) => message === 'the door failed'))
})

void t.test('a connection that cannot be set up is closed', async (t) => {
  const wire = await startWire(t, {
    admit: () => ({
      session: wire.sessions.create({ userId: 'open:x', user: { id: 0, firstName: 'x' }, claims: {} }).session,
      roles: ['viewer'],
      greeting: { event: 'hello', payload: 7n },
    }),
  })
  wire.hub.add(new Module(lab, '/open'))
  await once(wire.connect('/open'), 'disconnect')
  t.ok(wire.logged.some(({ message }) => message === 'a connection could not be set up'))
  await until(() => wire.hub.clients.size === 0)
})

void t.test('a session that ends while its client comes in', async (t) => {
  const wire = await startWire(t, {
    admit: () => {
      const { session } = wire.sessions.create({ userId: 'open:x', user: { id: 0, firstName: 'x' }, claims: {} })
      wire.sessions.revoke(session.id)
      return { session, roles: ['viewer'] }
    },
  })
  wire.hub.add(new Module(lab, '/open'))
  await once(wire.connect('/open'), 'disconnect')
  t.equal(wire.hub.clients.size, 0)
})

void t.test('a message of a client whose session has ended is refused', async (t) => {
  const { hub, sessions, connect } = await startWire(t)
  const module = new Module(lab, '/open')
  hub.add(module)
  module.state = 'running'
  const socket = connect('/open')
  await once(socket, 'connect')
  await until(() => hub.clients.size === 1)
  const [session] = sessions.list()
  sessions.revoke(session?.id as string)
  t.match(await socket.timeout(5000).emitWithAck('go'), { success: false, code: 'SESSION_EXPIRED' })
})
