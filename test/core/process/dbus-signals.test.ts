import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { MessageBus } from 'dbus-native'
import t, { type Test } from 'tap'
import type { SignalFilter } from '../../../core/plugin/capabilities.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { createDBus } from '../../../core/process/dbus-capability.ts'
import { PrivateBus } from '../../support/bus.ts'

const [name, other] = ['org.example.Lamp', 'org.example.Other']

async function lab(t: Test, limits = '') {
  const privateBus = await new PrivateBus(t).start(limits)
  const bus = new SystemBus(privateBus.address)
  t.teardown(() => bus.close())
  const service = await privateBus.client()
  await service.ownName(name)
  return { privateBus, bus, service }
}

/** Collects signals as `<path> <interface>.<member> <arguments>`, and lets a test await their number. */
function ear(bus: Pick<SystemBus, 'onSignal'>, filter: SignalFilter = {}, service = name) {
  const heard: string[] = []
  let wake = () => {}
  const release = bus.onSignal(service, filter, ({ path, interface: iface, member, args }) => {
    heard.push([path, `${iface}.${member}`, ...args].join(' '))
    wake()
  })
  const count = async (least: number) => {
    while (heard.length < least) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { heard, count, release }
}

const say = (client: MessageBus, path: string, member = 'Lit', iface = name) => client.sendSignal(path, iface, member, 's', ['x'])
/** When this is over, what was asked for before has reached the bus. */
const settled = (bus: SystemBus) => bus.isAvailable(name)

void t.test('signals of a service are heard by those whom they concern, in their order', async (t) => {
  const { bus, service } = await lab(t)
  const all = ear(bus)
  const below = ear(bus, { path: '/a' })
  const root = ear(bus, { path: '/', member: 'Out' })
  const iface = ear(bus, { interface: 'org.example.X' })
  await settled(bus)
  for (const path of ['/a', '/a/b', '/ab', '/']) say(service, path)
  say(service, '/a', 'Out')
  say(service, '/a', 'Lit', 'org.example.X')
  await all.count(6)
  const lit = (path: string) => `${path} ${name}.Lit x`
  t.same(all.heard, [lit('/a'), lit('/a/b'), lit('/ab'), lit('/'), `/a ${name}.Out x`, '/a org.example.X.Lit x'])
  t.same(below.heard, [lit('/a'), lit('/a/b'), `/a ${name}.Out x`, '/a org.example.X.Lit x'])
  t.same(root.heard, [`/a ${name}.Out x`])
  t.same(iface.heard, ['/a org.example.X.Lit x'])
})

void t.test('a signal tells its signature and plain values', async (t) => {
  const { bus, service } = await lab(t)
  const heard = new Promise((resolve) => bus.onSignal(name, {}, resolve))
  await settled(bus)
  service.sendSignal('/a', name, 'Lit', 'a{sv}t', [[['Hue', ['u', 7]]], 5n])
  t.same(await heard, {
    sender: service.name,
    path: '/a',
    interface: name,
    member: 'Lit',
    signature: 'a{sv}t',
    args: [{ Hue: 7 }, 5n],
  })
  const empty = new Promise((resolve) => bus.onSignal(name, { member: 'Out' }, resolve))
  await settled(bus)
  service.sendSignal('/a', name, 'Out')
  t.match(await empty, { signature: '', args: [] })
})

void t.test('what a service says because of a call is heard by who listened before', async (t) => {
  const { bus, service } = await lab(t)
  service.setMethodCallHandler('/', name, 'On', [() => say(service, '/'), ''])
  const { heard } = ear(bus)
  await bus.call({ service: name, path: '/', interface: name, method: 'On' })
  t.equal(heard.length, 1)
})

void t.test('a signal from another is not the service’s, and of other services nothing is heard', async (t) => {
  const { privateBus, bus, service } = await lab(t)
  const forger = await privateBus.client()
  const { heard, count } = ear(bus)
  const others = ear(bus, {}, other)
  await settled(bus)
  for (const destination of await privateBus.strangers())
    forger.connection.message({ type: 4, serial: forger.serial++, destination, path: '/', interface: name, member: 'Forged' })
  say(forger, '/')
  await forger.getId()
  say(service, '/')
  await count(1)
  t.same(heard, [`/ ${name}.Lit x`])
  t.same(others.heard, [])
})

void t.test(
  'listening goes on when the service comes anew, when another has its name, and when the bus comes anew',
  async (t) => {
    const { privateBus, bus, service } = await lab(t)
    const { count } = ear(bus)
    await settled(bus)
    say(service, '/')
    await count(1)
    await service.releaseName(name)
    const next = await privateBus.client()
    await next.ownName(name)
    say(next, '/')
    await count(2)
    await privateBus.stop()
    await privateBus.start()
    const third = await privateBus.client()
    await third.ownName(name)
    while ((await privateBus.strangers()).length === 0) await new Promise(setImmediate)
    for (let tries = 0; tries < 1000; tries++) {
      say(third, '/')
      await third.getId()
      if (await Promise.race([count(3).then(() => true), new Promise((resolve) => setTimeout(resolve, 5))])) return
    }
    t.fail('it does not')
  },
)

void t.test('however many listen, it costs the bus one rule, and none when they have left', async (t) => {
  // what it can start, the name's owner, its signals
  const { bus, service, privateBus } = await lab(t, '<limit name="max_match_rules_per_connection">3</limit>')
  const first = ear(bus)
  for (let i = 0; i < 3; i++) {
    const [more, much] = [ear(bus), ear(bus)]
    await settled(bus)
    for (const { release } of [more, more, much]) release()
  }
  await settled(bus)
  say(service, '/')
  await first.count(1)
  first.release()
  first.release()
  while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  const watch = bus.watchName(name, () => undefined)
  for (let i = 0; i < 3; i++) {
    const { release } = ear(bus)
    await settled(bus)
    release()
  }
  const last = ear(bus)
  await settled(bus)
  say(service, '/')
  await last.count(1)
  watch()
  last.release()
})

void t.test('a watch of a service that is known already is told, once, unless it is released before', async (t) => {
  const { bus } = await lab(t)
  await new Promise((resolve) => bus.watchName(name, resolve))
  const told: boolean[] = []
  bus.watchName(name, () => void t.fail('it was released'))()
  await new Promise<void>((resolve) => {
    bus.watchName(name, (isRunning) => {
      told.push(isRunning)
      resolve()
    })
  })
  await settled(bus)
  t.same(told, [true])
})

void t.test('what a listener throws hinders no other, and is thrown where the process hears of it', async (t) => {
  const { privateBus, service } = await lab(t)
  const file = JSON.stringify(new URL('../../../core/process/dbus.ts', import.meta.url).href)
  service.setMethodCallHandler('/', name, 'On', [() => say(service, '/'), ''])
  const script = `
    import { SystemBus } from ${file}
    const heard = []
    process.on('uncaughtException', ({ message }) => heard.push('uncaught ' + message))
    const bus = new SystemBus()
    bus.onSignal('${name}', {}, () => { throw new Error('mine') })
    bus.onSignal('${name}', {}, () => heard.push('other'))
    await bus.call({ service: '${name}', path: '/', interface: '${name}', method: 'On' })
    console.log(heard.join())`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script],
    { env: { PATH: process.env.PATH, DBUS_SYSTEM_BUS_ADDRESS: privateBus.address }, timeout: 20_000 },
  )
  t.equal(stdout.trim(), 'other,uncaught mine')
})

void t.test('a plugin listens to the services its contract names and no others', async (t) => {
  const { bus, service } = await lab(t)
  const dbus = createDBus(bus, [name])
  const { count } = ear(dbus)
  const shown = new Promise((resolve) => dbus.watchObjects(other, { interfaces: [] }, resolve)).catch(() => 'refused')
  t.equal(await shown, 'refused')
  t.throws(() => ear(dbus, {}, other), { message: /does not name the D-Bus service/ })
  const objects = new Promise((resolve) => dbus.watchObjects(name, { interfaces: [] }, resolve))
  await settled(bus)
  say(service, '/')
  await count(1)
  await service.releaseName(name)
  t.same(await objects, new Map())
})
