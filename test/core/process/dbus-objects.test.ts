import type { Message, MessageBus } from 'dbus-native'
import t, { type Test } from 'tap'
import type { DBusObjects } from '../../../core/plugin/capabilities.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { PrivateBus } from '../../support/bus.ts'

const name = 'org.example.Lamps'
const iface = 'org.example.Lamp'
const manager = 'org.freedesktop.DBus.ObjectManager'
type Lamps = Record<string, Record<string, Record<string, [signature: string, value: unknown]>>>

/** A service with an object manager at `/lamps`; it says what the test lets it say, and answers when it is let. */
class LampService {
  readonly client: MessageBus
  lamps: Lamps
  asked = 0
  /** What it waits for before it answers, once it was asked. */
  onAsked: () => Promise<void> | void = () => undefined
  #release: () => Promise<void> = async () => undefined

  private constructor(client: MessageBus, lamps: Lamps) {
    this.client = client
    this.lamps = lamps
  }

  static async start(bus: PrivateBus, lamps: Lamps, own = true): Promise<LampService> {
    const service = new LampService(await bus.client(), lamps)
    const { client } = service
    const answer = async (call: Message) => {
      service.asked++
      const objects = Object.entries(service.lamps).map(([path, has]) => [path, entries(has)])
      await service.onAsked()
      client.sendReply(call, 'a{oa{sa{sv}}}', [objects])
    }
    // the library would answer this method itself, in its own way
    const [library] = client.connection.listeners('message') as Array<(message: Message) => void>
    client.connection.removeAllListeners('message')
    client.connection.on('message', (message: Message) => {
      if (message.member !== 'GetManagedObjects') library?.(message)
      else answer(message).catch(({ message: text }: Error) => client.sendError(message, 'org.example.Error.Busy', text))
    })
    if (own) await service.own()
    return service
  }

  async own(): Promise<void> {
    const { release } = await this.client.ownName(name, 2)
    this.#release = release
  }

  async release(): Promise<void> {
    await this.#release()
  }

  say(path: string, interfaceName: string, member: string, signature: string, ...args: unknown[]): void {
    this.client.sendSignal(path, interfaceName, member, signature, args)
  }

  add(path: string, has: Lamps[string], from = '/lamps'): void {
    this.say(from, manager, 'InterfacesAdded', 'oa{sa{sv}}', path, entries(has))
  }

  remove(path: string, ...interfaces: string[]): void {
    this.say('/lamps', manager, 'InterfacesRemoved', 'oas', path, interfaces)
  }

  change(path: string, changed: Record<string, [string, unknown]>, gone: string[] = [], of = iface): void {
    this.say(path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', of, Object.entries(changed), gone)
  }
}

const entries = (has: Lamps[string]) => Object.entries(has).map(([one, properties]) => [one, Object.entries(properties)])
const lamp = (on: boolean, more: Record<string, [string, unknown]> = {}) =>
  ({ [iface]: { On: ['b', on], ...more } }) as Lamps[string]
const plain = (objects: DBusObjects) =>
  Object.fromEntries([...objects].map(([path, has]) => [path, Object.fromEntries(has)]).sort() as Array<[string, object]>)

async function lab(t: Test, lamps?: Lamps) {
  const privateBus = await new PrivateBus(t).start()
  const service = lamps && (await LampService.start(privateBus, lamps))
  const bus = new SystemBus(privateBus.address)
  t.teardown(() => bus.close())
  return { privateBus, bus, service: service as LampService }
}

/** Collects what a view tells, and lets a test await it. */
function view(bus: SystemBus, interfaces = [iface]) {
  const told: Array<{ objects: Record<string, object>; changed: string[] }> = []
  const wakes = new Set<() => void>()
  let live: DBusObjects = new Map()
  const release = bus.watchObjects(name, { root: '/lamps', interfaces }, (objects, changed) => {
    live = objects
    told.push({ objects: plain(objects), changed: [...changed].sort() })
    for (const wake of wakes) wake()
    wakes.clear()
  })
  const until = async (isSo: (objects: Record<string, object>) => boolean) => {
    while (told.length === 0 || !isSo((told.at(-1) as { objects: Record<string, object> }).objects))
      await new Promise<void>((resolve) => wakes.add(resolve))
    return told.at(-1)
  }
  const has = (count: number) => until((objects) => Object.keys(objects).length === count)
  return { told, until, has, release, live: () => live }
}

void t.test('shows the objects with their properties, then what comes, changes and goes, several changes at once', async (t) => {
  const { bus, service } = await lab(t, {
    '/lamps/1': { ...lamp(true, { Hours: ['t', 5n], Name: ['s', 'one'] }), 'org.example.Other': { X: ['u', 1] } },
    '/lamps/shed': { 'org.example.Other': {} },
  })
  const { told, until, has, live } = view(bus)
  t.same(await has(1), {
    objects: { '/lamps/1': { [iface]: { On: true, Hours: 5n, Name: 'one' } } },
    changed: ['/lamps/1'],
  })
  const before = live().get('/lamps/1')
  service.add('/lamps/2', lamp(false))
  service.change('/lamps/1', { On: ['b', false] }, ['Name'])
  service.change('/lamps/2', { On: ['b', true] })
  const last = await until((objects) => Object.keys(objects).length === 2 && told.at(-1)?.changed.length === 2)
  t.same(last, {
    objects: { '/lamps/1': { [iface]: { On: false, Hours: 5n } }, '/lamps/2': { [iface]: { On: true } } },
    changed: ['/lamps/1', '/lamps/2'],
  })
  t.ok(told.length < 4, 'not one by one')
  t.same(
    Object.fromEntries(before ?? []),
    { [iface]: { On: true, Hours: 5n, Name: 'one' } },
    'what was shown before stays as it was',
  )
  service.remove('/lamps/1', iface)
  t.same((await has(1))?.changed, ['/lamps/1'])
})

void t.test('an object stays as long as it has an interface that is asked for', async (t) => {
  const both = { ...lamp(true), 'org.example.Other': { X: ['u', 1] as [string, unknown] } }
  const { bus, service } = await lab(t, { '/lamps/1': both })
  const { told, until, has } = view(bus, [iface, 'org.example.Other'])
  await has(1)
  service.remove('/lamps/1', iface, 'org.example.Third')
  await until((objects) => !(iface in (objects['/lamps/1'] as object)))
  t.same(told.at(-1)?.objects, { '/lamps/1': { 'org.example.Other': { X: 1 } } })
  service.remove('/lamps/1', 'org.example.Other')
  await has(0)
})

void t.test('what does not concern the objects, or is not what it should be, changes nothing', async (t) => {
  const { bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  const { told, has } = view(bus)
  await has(1)
  service.add('/lamps/9', lamp(true), '/elsewhere')
  service.add('/lamps/9', { 'org.example.Other': {} })
  service.change('/lamps/1', { On: ['b', false] }, [], 'org.example.Other')
  service.change('/lamps/none', { On: ['b', false] })
  service.remove('/lamps/none', iface)
  service.say('/lamps', manager, 'InterfacesAdded', 's', '/lamps/9')
  service.say('/lamps', manager, 'InterfacesRemoved', 's', '/lamps/1')
  service.say('/lamps', manager, 'Other', 's', '/lamps/1')
  service.say('/lamps/1', 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 's', iface)
  service.say('/lamps/1', 'org.freedesktop.DBus.Properties', 'Other', 'sa{sv}as', iface, [['On', ['b', false]]], [])
  service.say('/lamps/1', iface, 'PropertiesChanged', 'a{sv}', [['On', ['b', false]]])
  service.add('/lamps/2', lamp(true))
  await has(2)
  t.same(told.slice(1), [
    { objects: { '/lamps/1': { [iface]: { On: true } }, '/lamps/2': { [iface]: { On: true } } }, changed: ['/lamps/2'] },
  ])
})

void t.test('another participant that says the same things is not believed', async (t) => {
  const { privateBus, bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  const { told, has } = view(bus)
  await has(1)
  const forger = await privateBus.client()
  for (const destination of await privateBus.strangers()) {
    const forged = { type: 4, path: '/lamps', interface: manager, member: 'InterfacesRemoved', signature: 'oas' }
    forger.connection.message({ ...forged, serial: forger.serial++, destination, body: ['/lamps/1', [iface]] })
  }
  await forger.getId()
  service.add('/lamps/2', lamp(true))
  await has(2)
  t.equal(told.length, 2)
})

void t.test('signals that come before the first answer are not lost, and the last word counts', async (t) => {
  const { bus, service } = await lab(t, { '/lamps/1': lamp(true), '/lamps/2': lamp(true) })
  service.onAsked = async () => {
    service.change('/lamps/1', { On: ['b', false] })
    service.remove('/lamps/2', iface)
    service.add('/lamps/3', lamp(true))
  }
  const { told, has } = view(bus)
  await has(2)
  t.same(told, [
    {
      objects: { '/lamps/1': { [iface]: { On: false } }, '/lamps/3': { [iface]: { On: true } } },
      changed: ['/lamps/1', '/lamps/2', '/lamps/3'],
    },
  ])
})

void t.test('too many signals before the answer are not kept: it is asked for again', async (t) => {
  const { bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  service.onAsked = () => {
    if (service.asked > 1) return
    for (let i = 0; i < 5; i++) service.change('/lamps/1', { Name: ['s', 'x'.repeat(500_000)] })
    service.change('/lamps/1', { On: ['b', false] })
    service.lamps = { '/lamps/1': lamp(false) }
  }
  const { told, has } = view(bus)
  await has(1)
  t.equal(service.asked, 2)
  t.same(told, [{ objects: { '/lamps/1': { [iface]: { On: false } } }, changed: ['/lamps/1'] }])
})

void t.test('with nobody there it shows nothing, and is told of those who come, go, and come anew', async (t) => {
  const { privateBus, bus } = await lab(t)
  const { told, has } = view(bus)
  await has(0)
  const service = await LampService.start(privateBus, { '/lamps/1': lamp(true) })
  await has(1)
  await service.release()
  await has(0)
  service.lamps = { '/lamps/2': lamp(true) }
  await service.own()
  await has(1)
  t.same(
    told.map(({ changed }) => changed),
    [[], ['/lamps/1'], ['/lamps/1'], ['/lamps/2']],
  )
})

void t.test('a service that is replaced by another leaves nothing behind, nor does its late answer', async (t) => {
  const { privateBus, bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  const next = await LampService.start(privateBus, { '/lamps/2': lamp(true) }, false)
  const { told, has } = view(bus)
  await has(1)
  let answer = () => {}
  const asked = new Promise<void>((resolve) => {
    next.onAsked = () => {
      resolve()
      return new Promise((go) => (answer = go))
    }
  })
  await next.own()
  await service.release()
  await asked
  await has(0)
  await next.release()
  await service.own()
  await has(1)
  answer()
  await bus.isAvailable(name)
  service.change('/lamps/1', { On: ['b', false] })
  while (told.at(-1)?.objects['/lamps/1'] === undefined || told.length < 4) await new Promise(setImmediate)
  t.same(Object.keys(told.at(-1)?.objects ?? {}), ['/lamps/1'])
})

void t.test('a bus that is restarted leaves nothing behind', async (t) => {
  const { privateBus, bus } = await lab(t, { '/lamps/1': lamp(true) })
  const { told, has } = view(bus)
  await has(1)
  await privateBus.stop()
  await has(0)
  await privateBus.start()
  await LampService.start(privateBus, { '/lamps/2': lamp(true) })
  await has(1)
  t.same(told.at(-1)?.objects, { '/lamps/2': { [iface]: { On: true } } })
})

void t.test('a service that cannot answer yet is asked again, for as long as it is there', async (t) => {
  const { bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  service.onAsked = () => {
    if (service.asked < 3) throw new Error('not yet')
  }
  const { told, has } = view(bus)
  await has(1)
  t.equal(service.asked, 3)
  t.equal(told.length, 1)
})

void t.test('a view that is released tells nothing more, whatever is under way', async (t) => {
  const { privateBus, bus, service } = await lab(t, { '/lamps/1': lamp(true) })
  const gone = async () => {
    while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  }
  view(bus).release()
  await gone()
  for (const fails of [false, true]) {
    const first = view(bus)
    const asked = new Promise<void>((resolve) => {
      service.onAsked = () => {
        first.release()
        resolve()
        if (fails) throw new Error('not now')
      }
    })
    await asked
    await gone()
    t.same(first.told, [])
  }
  service.onAsked = () => undefined
  const second = view(bus)
  await second.has(1)
  second.release()
  await gone()
  t.equal(second.told.length, 1)
})

void t.test('of a service that has gone mad no more is kept than there is room for', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 10_005 }, (_, index) => [`/lamps/${index}`, lamp(true)]))
  const { bus, service } = await lab(t, many)
  const { has, live, until } = view(bus)
  await has(10_000)
  service.remove('/lamps/7', iface)
  await has(9_999)
  service.add('/lamps/new', lamp(true))
  service.add('/lamps/over', lamp(true))
  await has(10_000)
  t.ok(live().has('/lamps/new'))
  t.notOk(live().has('/lamps/over'))
  service.change('/lamps/new', { Name: ['ay', Buffer.alloc(20_000_000)] })
  await has(9_999)
  t.notOk(live().has('/lamps/new'), 'rather none than a stale one')
  const half: Record<string, [string, unknown]> = { Names: ['as', Array.from({ length: 100 }, () => 'n'.repeat(45_000))] }
  service.change('/lamps/1', half)
  await until((objects) => JSON.stringify(objects['/lamps/1']).includes('Names'))
  service.change('/lamps/2', half)
  await has(9_998)
  service.remove('/lamps/1', iface)
  await has(9_997)
  service.add('/lamps/2', { [iface]: half })
  await has(9_998)
})
