import { execFile } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { SystemBus } from '../../../core/process/dbus.ts'
import { createDBus } from '../../../core/process/dbus-capability.ts'
import { PrivateBus, serve } from '../../support/bus.ts'

const name = 'org.example.Lamp'
const lamp = { service: name, path: '/', interface: name }
const daemon = { service: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' }

function systemBus(t: Test, address: string): SystemBus {
  const bus = new SystemBus(address)
  t.teardown(() => bus.close())
  return bus
}

/** How a call failed. The name is told without its common beginning. */
async function refusal(call: Promise<unknown>): Promise<{ name: string; message: string }> {
  const { dbusName, message } = await call.then(
    () => Promise.reject(new Error('it was not refused')),
    (error: Error & { dbusName: string }) => error,
  )
  return { name: dbusName.replace('org.freedesktop.DBus.Error.', ''), message }
}

/** A socket of the test's own in front of a bus. */
async function proxy(t: Test, { directory, socket }: PrivateBus) {
  const path = join(directory, 'front')
  const connections: Socket[] = []
  const server = createServer((front) => {
    const back = createConnection(socket)
    connections.push(front)
    for (const side of [front, back]) side.on('error', () => undefined)
    front.pipe(back).pipe(front)
    front.on('close', () => back.destroy())
    back.on('close', () => front.destroy())
  }).listen(path)
  t.teardown(() => server.close())
  await once(server, 'listening')
  return { address: `unix:path=${path}`, server, connections }
}

/** Collects what a watch tells, and lets a test await it. */
function watcher(bus: SystemBus, watched = name) {
  const told: boolean[] = []
  const waiting: Array<() => void> = []
  const release = bus.watchName(watched, (present) => {
    told.push(present)
    for (const wake of waiting.splice(0)) wake()
  })
  const until = async (present: boolean) => {
    while (told.at(-1) !== present) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  return { told, release, until, next: () => new Promise<void>((resolve) => waiting.push(resolve)) }
}

void t.test('calls a method and gives all its values, 64-bit integers as BigInt, bytes as Buffer, variants plain', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const handler = ({ text }: { text: string }) => ({
    text,
    many: ['a', 'b'],
    big: 2n ** 63n,
    bytes: Buffer.from([1, 0]),
    dict: [['k', ['u', 7]]],
  })
  await serve(privateBus, name, {
    Echo: { in: { text: 's' }, out: { text: 's', many: 'as', big: 't', bytes: 'ay', dict: 'a{sv}' }, handler },
  })
  const bus = systemBus(t, privateBus.address)
  const answer = await bus.call({ ...lamp, method: 'Echo', signature: 's', args: ['hé'] })
  t.same(answer, ['hé', ['a', 'b'], 2n ** 63n, Buffer.from([1, 0]), { k: 7 }])
  t.equal(typeof answer[2], 'bigint')
  const [names, ...rest] = await bus.call({ ...daemon, method: 'ListNames' })
  t.ok(Array.isArray(names) && names.includes(name), 'one value that is a list stays one value')
  t.same(rest, [])
  t.same(await bus.call({ ...daemon, path: '/', interface: 'org.freedesktop.DBus.Peer', method: 'Ping' }), [], 'no value')
})

void t.test('errors of the service and of the bus keep their names', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const handler = () => {
    throw Object.assign(new Error('The bulb is broken.'), { dbusName: 'org.example.Error.Broken' })
  }
  await serve(privateBus, name, { On: { handler } })
  const bus = systemBus(t, privateBus.address)
  t.same(await refusal(bus.call({ ...lamp, method: 'On' })), { name: 'org.example.Error.Broken', message: 'The bulb is broken.' })
  t.equal((await refusal(bus.call({ ...lamp, service: 'org.example.Nobody', method: 'On' }))).name, 'ServiceUnknown')
})

void t.test('an argument that does not fit its signature is refused here, and costs nobody the connection', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(false)
  let open = 0
  const calls = { start: () => void open++, end: () => void open-- }
  const traces = Object.entries(calls).map(([event, count]) => [`tracing:dbus:call:${event}`, count] as const)
  for (const [channel, count] of traces) subscribe(channel, count)
  t.teardown(() => traces.forEach(([channel, count]) => void unsubscribe(channel, count)))
  const misfit = bus.call({ ...daemon, method: 'NameHasOwner', signature: 's', args: [5] })
  t.match(await refusal(misfit), { name: 'InvalidArgs', message: '5' })
  t.equal(open, 0, 'and the library keeps nothing of it')
  await serve(privateBus, name, {})
  await until(true)
  t.same(told, [false, true], 'the watch was not interrupted')
})

void t.test('a call that is not answered is given up at its deadline', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  await serve(privateBus, name, { Never: { handler: () => new Promise(() => undefined) } })
  const bus = systemBus(t, privateBus.address)
  const error = { name: 'NoReply', message: `${name} did not answer Never within 50 ms.` }
  t.same(await refusal(bus.call({ ...lamp, method: 'Never', timeoutMs: 50 })), error)
})

void t.test('a call is given up at its deadline also while the bus itself hangs, and is not made afterwards', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  let calls = 0
  const { client } = await serve(privateBus, name, { On: { handler: () => void calls++ } })
  const bus = systemBus(t, privateBus.address)
  privateBus.pause()
  t.equal((await refusal(bus.call({ ...lamp, method: 'On', timeoutMs: 50 }))).name, 'NoReply')
  const { until } = watcher(bus)
  privateBus.resume()
  await until(true)
  await client.getId()
  t.equal(calls, 0)
  await bus.call({ ...lamp, method: 'On' })
  t.equal(calls, 1)
})

void t.test('without a bus a call is refused at once with a sentence, and works when the bus has come', async (t) => {
  const privateBus = new PrivateBus(t)
  const bus = systemBus(t, privateBus.address)
  const begun = performance.now()
  const error = { name: 'Disconnected', message: 'The system bus cannot be reached (ENOENT).' }
  t.same(await refusal(bus.isAvailable(name)), error)
  t.ok(performance.now() - begun < 2000)
  await privateBus.start()
  t.equal(await bus.isAvailable('org.freedesktop.DBus'), true)
  t.match(await refusal(new SystemBus('nonsense:').isAvailable(name)), { message: 'unknown address type' })
})

void t.test('calls under way are rejected when the bus goes, and when the host closes its connection', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const arrivals = new EventEmitter()
  const handler = () => {
    arrivals.emit('call')
    return new Promise(() => undefined)
  }
  await serve(privateBus, name, { Never: { handler } })
  const bus = systemBus(t, privateBus.address)
  for (const end of [async () => bus.close(), () => privateBus.stop()]) {
    const arrived = once(arrivals, 'call')
    const refused = refusal(bus.call({ ...lamp, method: 'Never' }))
    await arrived
    await end()
    t.equal((await refused).name, 'Disconnected')
  }
})

void t.test('a bus that refuses us says why', async (t) => {
  const privateBus = await new PrivateBus(t).start('<limit name="max_completed_connections">1</limit>')
  await privateBus.client()
  const error = {
    name: 'Disconnected',
    message: /^The system bus cannot be reached \(.*connections.*\)\.$/i,
  }
  t.match(await refusal(systemBus(t, privateBus.address).isAvailable(name)), error)
})

void t.test('a name is available while it has an owner or can be started by calling it', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  t.equal(await bus.isAvailable(name), false)
  const { release } = await serve(privateBus, name, {})
  t.equal(await bus.isAvailable(name), true)
  await release()
  t.equal(await bus.isAvailable(name), false)
  await privateBus.addActivatable(name)
  t.equal(await bus.isAvailable(name), true)
})

void t.test('a watch tells whether a name has an owner, at first and at every change', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const { told, until, release } = watcher(bus)
  await until(false)
  const service = await serve(privateBus, name, {})
  await until(true)
  const second = watcher(bus)
  await second.until(true)
  await service.release()
  await Promise.all([until(false), second.until(false)])
  release()
  await serve(privateBus, name, {})
  await second.until(true)
  t.same(told, [false, true, false], 'nothing is told after the release')
  t.same(second.told, [true, false, true])
})

void t.test('other names are not told of, and a forged signal is not believed', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(false)
  const other = watcher(bus, 'org.example.Other')
  await other.until(false)
  const forger = await privateBus.client()
  for (const destination of await privateBus.strangers()) {
    const forged = {
      type: 4,
      serial: forger.serial++,
      path: daemon.path,
      interface: daemon.interface,
      member: 'NameOwnerChanged',
    }
    forger.connection.message({ ...forged, destination, signature: 'sss', body: [name, '', forger.name] })
  }
  await serve(privateBus, 'org.example.Other', {})
  await bus.isAvailable(name)
  t.same(told, [false])
  await serve(privateBus, name, {})
  await until(true)
  t.same(
    [told, other.told],
    [
      [false, true],
      [false, true],
    ],
  )
})

void t.test('a watch that is released at once tells nothing, and a watch that is released costs the bus nothing', async (t) => {
  const privateBus = await new PrivateBus(t).start('<limit name="max_match_rules_per_connection">3</limit>')
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(false)
  for (let i = 0; i < 5; i++) {
    const short = watcher(bus, `org.example.N${i}`)
    short.release()
    await bus.isAvailable(name)
    t.same(short.told, [])
  }
  const other = watcher(bus, 'org.example.Other')
  await other.until(false)
  await serve(privateBus, 'org.example.Other', {})
  await other.until(true)
  t.same(told, [false])
})

void t.test('nothing is told after the host closed its connection', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(false)
  bus.close()
  while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  await serve(privateBus, name, {})
  await bus.isAvailable(name)
  t.same(told, [false])
})

void t.test('a message from anyone that cannot be understood does no harm', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(false)
  const forger = await privateBus.client()
  for (const destination of await privateBus.strangers()) {
    for (const member of ['Get', 'Set', 'GetAll']) {
      const message = { destination, path: '/', interface: 'org.freedesktop.DBus.Properties', member }
      forger.connection.message({ type: 1, serial: forger.serial++, ...message })
    }
  }
  await serve(privateBus, name, {})
  await until(true)
  t.same(told, [false, true], 'the connection was not lost')
})

void t.test('a watch says its piece again when what the bus can start changed', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const { told, until, next } = watcher(systemBus(t, privateBus.address))
  await until(false)
  const again = next()
  await privateBus.addActivatable(name)
  await again
  t.same(new Set(told), new Set([false]))
})

void t.test('a watch survives a restart of the bus and asks anew', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  await serve(privateBus, name, {})
  const bus = systemBus(t, privateBus.address)
  const { told, until } = watcher(bus)
  await until(true)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await privateBus.stop(signal)
    await until(false)
    await privateBus.start()
    await serve(privateBus, name, {})
    await until(true)
  }
  t.equal(told[0], true)
})

void t.test('a watch tells of a bus that goes also when nobody had the name', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const { told, until, next } = watcher(systemBus(t, privateBus.address))
  await until(false)
  const again = next()
  await privateBus.stop()
  await again
  t.same(told, [false, false])
})

void t.test('a bus that is replaced behind a socket that stays is found again each time without delay', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const front = await proxy(t, privateBus)
  await serve(privateBus, name, {})
  const { until } = watcher(systemBus(t, front.address))
  for (let i = 0; i < 10; i++) {
    await until(true)
    for (const connection of front.connections) connection.destroy()
    await until(false)
  }
  await until(true)
  t.equal(front.connections.length, 11)
})

void t.test(
  'a connection that nobody waits for any more when it opens, or that the bus does not accept, is closed',
  async (t) => {
    const privateBus = await new PrivateBus(t).start('<limit name="max_completed_connections">1</limit>')
    const front = await proxy(t, privateBus)
    const bus = systemBus(t, front.address)
    privateBus.pause()
    const arrived = once(front.server, 'connection')
    await refusal(bus.call({ ...daemon, method: 'ListNames', timeoutMs: 50 }))
    await arrived
    const [connection] = front.connections
    t.equal(connection?.destroyed, false)
    privateBus.resume()
    await once(connection as Socket, 'close')
    await privateBus.client()
    const refused = once(front.server, 'connection')
    await refusal(bus.isAvailable(name))
    await refused
    const second = front.connections[1] as Socket
    if (!second.destroyed) await once(second, 'close')
  },
)

void t.test('a bus that does not believe who we are says so at once, and is asked no second way', async (t) => {
  const privateBus = new PrivateBus(t)
  let heard = ''
  const server = createServer((socket) => {
    socket.setEncoding('utf8').on('data', (text) => {
      heard += text
      socket.write('REJECTED EXTERNAL\r\n')
    })
  }).listen(privateBus.socket)
  t.teardown(() => server.close())
  await once(server, 'listening')
  t.match(await refusal(systemBus(t, privateBus.address).isAvailable(name)), { name: 'Disconnected', message: 'REJECTED' })
  t.equal(heard.split('AUTH').length, 2)
})

void t.test('a bus that is away is not tried again for a watch that was released, nor for a call that failed', async (t) => {
  const listen = async ({ socket }: PrivateBus, onConnection: (connection: Socket) => void) => {
    const server = createServer(onConnection).listen(socket)
    t.teardown(() => server.close())
    await once(server, 'listening')
    return server
  }
  const clock = new PrivateBus(t)
  const clockServer = await listen(clock, (connection) => void connection.destroy())
  const threeTriesElsewhere = async () => {
    const { release } = watcher(systemBus(t, clock.address))
    for (let i = 0; i < 3; i++) await once(clockServer, 'connection')
    release()
  }
  const away = new PrivateBus(t)
  const bus = systemBus(t, away.address)
  const { until, release } = watcher(bus)
  await until(false)
  release()
  const connections: Socket[] = []
  await listen(away, (connection) => void connections.push(connection))
  await threeTriesElsewhere()
  t.equal(connections.length, 0)
  t.equal((await refusal(bus.call({ ...lamp, method: 'On', timeoutMs: 50 }))).name, 'NoReply')
  connections[0]?.destroy()
  await threeTriesElsewhere()
  t.equal(connections.length, 1)
})

void t.test('a watch notices a bus that appears later, also when the directory of its socket does', async (t) => {
  const privateBus = new PrivateBus(t)
  const run = dirname(privateBus.socket)
  rmSync(run, { recursive: true })
  const { told, until, next } = watcher(systemBus(t, privateBus.address))
  await until(false)
  mkdirSync(run)
  const heard = next()
  await privateBus.start()
  await heard
  await serve(privateBus, name, {})
  await until(true)
  t.same(told, [false, false, true])
})

void t.test('a bus that hangs up on us is tried again, ever more slowly, and at once when its socket changes', async (t) => {
  const privateBus = new PrivateBus(t)
  const times: number[] = []
  const server = createServer((socket: Socket) => {
    times.push(performance.now())
    writeFileSync(join(dirname(privateBus.socket), 'other'), '')
    socket.destroy()
  })
  const six = new Promise<void>((resolve) => server.on('connection', () => times.length === 6 && resolve()))
  const bus = systemBus(t, privateBus.address)
  watcher(bus).release()
  server.listen(privateBus.socket)
  const { told, until } = watcher(bus)
  await six
  const gaps = times.slice(1).map((time, index) => time - (times[index] as number))
  t.ok(
    gaps.every((gap, index) => gap >= 49 * 2 ** index),
    `the gaps grow: ${gaps.map(Math.round).join(', ')} ms`,
  )
  t.same(told, [false], 'and it is told once')
  server.close()
  await once(server, 'close')
  await privateBus.start()
  await serve(privateBus, name, {})
  await until(true)
  t.ok(performance.now() - (times.at(-1) as number) < 1600, 'the next try would have come after 1600 ms')
})

void t.test('the connection is open while somebody calls or watches, one for all, and closed otherwise', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const bus = systemBus(t, privateBus.address)
  const gone = async () => {
    while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  }
  await Promise.all([bus.isAvailable(name), bus.isAvailable(name)])
  await gone()
  const [one, two] = [watcher(bus), watcher(bus, 'org.example.Other')]
  await Promise.all([one.until(false), two.until(false), bus.isAvailable(name)])
  t.equal((await privateBus.strangers()).length, 1)
  one.release()
  one.release()
  await bus.isAvailable(name)
  t.equal((await privateBus.strangers()).length, 1)
  two.release()
  await gone()
  watcher(bus).release()
  await bus.isAvailable(name)
  await gone()
  t.pass('also when it was released before it was open')
})

void t.test('a call keeps the process alive until it is answered, a watch does not, with or without a bus', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const file = JSON.stringify(new URL('../../../core/process/dbus.ts', import.meta.url).href)
  const script = `
    import { SystemBus } from ${file}
    const bus = new SystemBus()
    bus.watchName('org.example.Lamp', () => {})
    console.log(await bus.isAvailable('org.freedesktop.DBus').catch((error) => error.dbusName))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const run = async (address: string) => {
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      env: { PATH: process.env.PATH, DBUS_SYSTEM_BUS_ADDRESS: address },
      timeout: 20_000,
    })
    return stdout.trim()
  }
  t.equal(await run(privateBus.address), 'true')
  t.equal(await run('unix:path=/nowhere/at/all'), 'org.freedesktop.DBus.Error.Disconnected')
})

void t.test('a plugin calls the services its contract names and no others', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  await serve(privateBus, name, { On: { handler: () => undefined } })
  const dbus = createDBus(systemBus(t, privateBus.address), [name])
  t.same(await dbus.call({ ...lamp, method: 'On' }), [])
  const error = {
    name: 'AccessDenied',
    message: 'The contract does not name the D-Bus service org.freedesktop.DBus.',
  }
  t.same(await refusal(dbus.call({ ...daemon, method: 'ListNames' })), error)
  t.throws(() => dbus.watchName('org.freedesktop.DBus', () => undefined), { message: /does not name the D-Bus service/ })
})

void t.test('a plugin that watches a service it names is told, and its connection stays the same', async (t) => {
  const privateBus = await new PrivateBus(t).start()
  const { release } = await serve(privateBus, name, { On: { handler: () => undefined } })
  const dbus = createDBus(systemBus(t, privateBus.address), [name])
  let [told, tell] = [[] as boolean[], () => {}]
  const next = () => new Promise<void>((resolve) => (tell = resolve))
  const first = next()
  const unwatch = dbus.watchName(name, (isRunning) => {
    told = [...told, isRunning]
    tell()
  })
  await first
  const connections = await privateBus.strangers()
  t.equal(connections.length, 1)
  for (let turn = 0; turn < 2; turn++) await dbus.call({ ...lamp, method: 'On' })
  t.same(await privateBus.strangers(), connections)
  const gone = next()
  await release()
  await gone
  t.same(told, [true, false])
  unwatch()
})
