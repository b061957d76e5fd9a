import type { MessageBus } from 'dbus-native'
import t, { type Test } from 'tap'
import type { Served } from '../../../core/plugin/capabilities.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { createDBus } from '../../../core/process/dbus-capability.ts'
import { PrivateBus } from '../../support/bus.ts'

const name = 'org.example.Lamp'
const [path, iface] = ['/agent', 'org.example.Agent']

async function lab(t: Test, methods: Served) {
  const privateBus = await new PrivateBus(t).start()
  const bus = new SystemBus(privateBus.address)
  t.teardown(() => bus.close())
  const service = await privateBus.client()
  await service.ownName(name)
  const release = createDBus(bus, ['org.example.Away', name]).serve(path, iface, methods)
  const destination = await bus.uniqueName()
  const ask = (client: MessageBus, member: string, signature?: string, ...body: unknown[]) =>
    client.invoke({ destination, path, interface: iface, member, ...(signature && { signature, body }) }).then(
      (value: unknown) => value,
      ({ dbusName = '', message }) => `${dbusName.replace('org.freedesktop.DBus.Error.', '')}: ${message}`,
    )
  return { privateBus, bus, service, release, ask }
}

void t.test('a service calls what is served, with its own name, and gets one value, several or none', async (t) => {
  const { service, ask } = await lab(t, {
    One: { in: 'su', out: 's', handle: async ([text, number], who) => `${String(text)} ${String(number)} ${who}` },
    Two: { in: '', out: 'su', handle: () => ['a', 1] },
    None: { in: '', out: '', handle: () => 'what?' },
  })
  t.equal(await ask(service, 'One', 'su', 'hé', 7), `hé 7 ${name}`)
  t.same(await ask(service, 'Two'), ['a', 1])
  t.equal(await ask(service, 'None'), undefined)
  t.match(await ask(service, 'Three'), /^UnknownMethod: /)
})

void t.test('anyone else is refused, and so is the service once it has lost its name', async (t) => {
  let calls = 0
  const { privateBus, service, bus, ask } = await lab(t, { One: { in: '', out: 's', handle: () => `${++calls}` } })
  const stranger = await privateBus.client()
  t.equal(await ask(stranger, 'One'), `AccessDenied: ${stranger.name} may not call this.`)
  t.equal(await ask(service, 'One'), '1')
  await service.releaseName(name)
  await bus.isAvailable(name)
  t.match(await ask(service, 'One'), /^AccessDenied/)
  await stranger.ownName(name)
  await bus.isAvailable(name)
  t.equal(await ask(stranger, 'One'), '2')
})

void t.test('what is served to nobody by name is refused to all', async (t) => {
  const { bus, service } = await lab(t, {})
  bus.serve('/nobody', iface, { One: { in: '', out: '', handle: () => undefined } })
  const asked = service.invoke({ destination: await bus.uniqueName(), path: '/nobody', interface: iface, member: 'One' })
  await t.rejects(
    asked.then((value: unknown) => value),
    { message: /may not call this/ },
  )
})

void t.test('a call that does not fit, an answer that does not fit and an error are told as such', async (t) => {
  const failing = (error: unknown) => ({ in: '', out: 's', handle: () => Promise.reject(error as Error) })
  const { service, ask } = await lab(t, {
    One: { in: 'u', out: '', handle: () => undefined },
    Wrong: { in: '', out: 'u', handle: () => 'no number' },
    Refused: failing(Object.assign(new Error('Not\0 that.'), { dbusName: 'org.example.Error.Rejected' })),
    Broken: failing(new Error('/secret/path')),
    Odd: failing(Object.assign(new Error('odd'), { dbusName: 'no name' })),
    Nothing: failing(undefined),
  })
  t.equal(await ask(service, 'One', 's', 'x'), 'InvalidArgs: One takes (u), not (s).')
  t.match(await ask(service, 'Wrong'), /^Failed: /)
  t.equal(await ask(service, 'Refused'), 'org.example.Error.Rejected: Not that.')
  for (const member of ['Broken', 'Odd', 'Nothing']) t.equal(await ask(service, member), 'Failed: It failed.')
})

void t.test('no more than 100 calls are under way', async (t) => {
  const open: Array<() => void> = []
  let arrived = () => {}
  const full = new Promise<void>((resolve) => (arrived = resolve))
  const handle = () => {
    if (open.length === 99) arrived()
    return new Promise<void>((resolve) => void open.push(resolve))
  }
  const { service, ask } = await lab(t, { Wait: { in: '', out: '', handle } })
  const calls = Array.from({ length: 100 }, () => ask(service, 'Wait'))
  await full
  t.match(await ask(service, 'Wait'), /^LimitsExceeded/)
  for (const end of open) end()
  await Promise.all(calls)
  const last = ask(service, 'Wait')
  while (open.length === 100) await new Promise(setImmediate)
  open.at(-1)?.()
  t.equal(await last, undefined)
})

void t.test('it is there again when the bus comes anew, and gone when it is released', async (t) => {
  const { privateBus, bus, release } = await lab(t, { One: { in: '', out: 's', handle: () => 'yes' } })
  const again = async () => {
    const client = await privateBus.client()
    await client.ownName(name)
    const call = { path, interface: iface, member: 'One', destination: await bus.uniqueName() }
    return {
      client,
      ask: () =>
        client.invoke({ ...call }).then(
          (value: unknown) => value,
          () => 'refused',
        ),
    }
  }
  await privateBus.stop()
  await privateBus.start()
  const { client, ask } = await again()
  t.equal(await ask(), 'yes')
  t.throws(() => bus.serve(path, iface, {}), { message: `${iface} at ${path} is served already.` })
  const watch = bus.watchName(name, () => undefined)
  release()
  release()
  t.equal(await ask(), 'refused')
  bus.serve(path, iface, {})()
  watch()
  while ((await privateBus.strangers()).length > 0) await client.getId()
})

void t.test('an answer that comes when the connection has gone is told nobody', async (t) => {
  let answer: (value: string) => void = () => {}
  let arrived = () => {}
  const called = new Promise<void>((resolve) => (arrived = resolve))
  const handle = () => {
    arrived()
    return new Promise((resolve) => (answer = resolve))
  }
  const { service, bus, ask } = await lab(t, { Wait: { in: '', out: 's', handle } })
  const told: unknown[] = []
  const warn = t.capture(console, 'warn', (...text: unknown[]) => void told.push(text))
  const asked = ask(service, 'Wait')
  await called
  bus.close()
  t.match(await asked, /^NoReply|^Disconnected/)
  answer('late')
  await new Promise(setImmediate)
  t.same(warn(), [])
})
