import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Message } from 'dbus-native'
import t, { type Test } from 'tap'
import { checkNeeds, watchNeeds } from '../../../core/lifecycle/needs.ts'
import type { Finding } from '../../../core/plugin/capabilities.ts'
import type { Needs } from '../../../core/plugin/contract.ts'
import { SystemBus } from '../../../core/process/dbus.ts'
import { PrivateBus, serve } from '../../support/bus.ts'

const lamp = 'org.example.Lamp'
const tool = { package: 'patchbay-tool' }

/** A directory for programs and devices, and a bus that is not started. */
function machine(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'patchbay-needs-'))
  const privateBus = new PrivateBus(t)
  const bus = new SystemBus(privateBus.address)
  // what is watched keeps no process alive
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => {
    clearInterval(alive)
    bus.close()
    rmSync(root, { recursive: true })
  })
  const bin = join(root, 'bin')
  mkdirSync(bin)
  const install = (name: string, mode = 0o755) => {
    writeFileSync(join(bin, name), '#!/bin/false\n')
    chmodSync(join(bin, name), mode)
  }
  return { root, bin, install, privateBus, surroundings: { bus, path: `${join(root, 'missing')}:${bin}` } }
}

/** What is told, by name, and a way to await it. */
function watching(t: Test, needs: Needs, surroundings: Parameters<typeof watchNeeds>[1]) {
  const told: string[] = []
  let wake = () => {}
  const release = watchNeeds(needs, surroundings, (missing) => {
    told.push(missing.map(({ name }) => name).join(' '))
    wake()
  })
  t.teardown(release)
  const until = async (names: string) => {
    while (told.at(-1) !== names) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { told, until, release }
}

const oks = async (needs: Needs, surroundings: Parameters<typeof checkNeeds>[1]) =>
  (await checkNeeds(needs, surroundings)).map(({ ok }) => ok)

void t.test('finds everything, in the order of the contract, and says it in sentences', async (t) => {
  const { root, bin, install, privateBus, surroundings } = machine(t)
  await privateBus.start()
  await serve(privateBus, lamp, {})
  install('there')
  const needs = {
    dbus: [lamp, 'org.example.None'],
    tools: { there: tool, none: tool, extra: { ...tool, optional: true } },
    devices: [join(root, 'bin'), '/nowhere/none'],
  }
  const required = { optional: false }
  t.same(await checkNeeds(needs, surroundings), [
    { kind: 'dbus', name: lamp, ok: true, ...required, sentence: `The service ${lamp} is on the system bus.` },
    {
      kind: 'dbus',
      name: 'org.example.None',
      ok: false,
      ...required,
      sentence: 'The service org.example.None is not on the system bus.',
    },
    { kind: 'tool', name: 'there', ok: true, ...required, sentence: `The program there is ${bin}/there.` },
    {
      kind: 'tool',
      name: 'none',
      ok: false,
      ...required,
      sentence: 'The program none is not installed.',
      mend: 'sudo apt-get install patchbay-tool',
    },
    {
      kind: 'tool',
      name: 'extra',
      ok: false,
      optional: true,
      sentence: 'The program extra is not installed.',
      mend: 'sudo apt-get install patchbay-tool',
    },
    { kind: 'device', name: bin, ok: true, ...required, sentence: `There is a device ${bin}.` },
    { kind: 'device', name: '/nowhere/none', ok: false, ...required, sentence: 'There is no device /nowhere/none.' },
  ] satisfies Finding[])
  t.same(await checkNeeds({}, surroundings), [])
})

void t.test('without a bus its services are out of reach, and it is said how to mend it', async (t) => {
  const [finding] = await checkNeeds({ dbus: [lamp] }, machine(t).surroundings)
  const sentence = `The service ${lamp} is out of reach. The system bus cannot be reached (ENOENT).`
  t.same(finding, { kind: 'dbus', name: lamp, ok: false, optional: false, sentence, mend: 'sudo apt-get install dbus' })
})

void t.test('a service that is not running but can be started is there', async (t) => {
  const { privateBus, surroundings } = machine(t)
  await privateBus.start()
  await privateBus.addActivatable(lamp)
  t.same(await oks({ dbus: [lamp] }, surroundings), [true])
})

void t.test('a program is a file that may be executed, or a link to one', async (t) => {
  const { bin, install, surroundings } = machine(t)
  install('plain', 0o644)
  install('good')
  mkdirSync(join(bin, 'folder'))
  symlinkSync(join(bin, 'good'), join(bin, 'link'))
  symlinkSync(join(bin, 'none'), join(bin, 'dangling'))
  const tools = { plain: tool, folder: tool, dangling: tool, good: tool, link: tool }
  t.same(await oks({ tools }, surroundings), [false, false, false, true, true])
})

void t.test('the directories of a root PATH are looked in also when PATH has not got them', async (t) => {
  t.same(await oks({ tools: { sh: tool } }, { ...machine(t).surroundings, path: '' }), [true])
})

void t.test('a star in a device stands for any characters, and for nothing else', async (t) => {
  const { root, surroundings } = machine(t)
  for (const name of ['nvme0n1', 'video12', 'a.b']) writeFileSync(join(root, name), '')
  const is = async (pattern: string) => (await oks({ devices: [join(root, pattern)] }, surroundings))[0]
  for (const pattern of ['*', 'video*', '*12', 'v*2', 'nvme*n*', 'nvme*n1', 'video12*', '**', 'a.*', 'video12'])
    t.ok(await is(pattern), pattern)
  for (const pattern of ['video', 'ideo*', '*vide', 'nvme*n2', 'video12*2', '*12*12', 'a?b', 'axb', '*/x'])
    t.notOk(await is(pattern), pattern)
  writeFileSync(join(root, 'a'.repeat(255)), '')
  t.notOk(await is(`${'*a'.repeat(120)}*b`), 'a pattern made to cost time costs none')
})

void t.test('a watch tells first what is missing, also when it is nothing', async (t) => {
  const { install, surroundings } = machine(t)
  install('there')
  await watching(t, {}, surroundings).until('')
  await watching(t, { tools: { there: tool } }, surroundings).until('')
  const { told, until } = watching(t, { tools: { there: tool, none: tool, extra: { ...tool, optional: true } } }, surroundings)
  await until('none')
  t.same(told, ['none'], 'what is optional is not missed')
})

void t.test('a program that is installed or removed is noticed, also in a directory of PATH that comes and goes', async (t) => {
  const { root, bin, install, surroundings } = machine(t)
  const { told, until } = watching(t, { tools: { one: tool, two: tool } }, surroundings)
  await until('one two')
  install('one')
  await until('two')
  rmSync(join(bin, 'one'))
  await until('one two')
  install('two', 0o644)
  chmodSync(join(bin, 'two'), 0o755)
  await until('one')
  renameSync(bin, join(root, 'elsewhere'))
  await until('one two')
  mkdirSync(bin)
  install('new')
  renameSync(join(bin, 'new'), join(bin, 'one'))
  await until('two')
  t.same(told, ['one two', 'two', 'one two', 'one', 'one two', 'two'], 'and nothing is told twice')
})

void t.test('a device that is plugged in or out is noticed, also with its directory', async (t) => {
  const { root, surroundings } = machine(t)
  const directory = join(root, 'dev', 'video')
  const { told, until } = watching(t, { devices: [join(directory, 'v*'), join(root, 'bin')] }, surroundings)
  const pattern = join(directory, 'v*')
  await until(pattern)
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'v1'), '')
  await until('')
  writeFileSync(join(directory, 'v0'), '')
  rmSync(join(directory, 'v1'))
  rmSync(join(directory, 'v0'))
  await until(pattern)
  writeFileSync(join(directory, 'v7'), '')
  await until('')
  rmSync(join(root, 'dev'), { recursive: true })
  await until(pattern)
  t.same(told, [pattern, '', pattern, '', pattern])
})

void t.test('a service that starts, stops or becomes startable is noticed, and a bus that comes and goes', async (t) => {
  const { privateBus, surroundings } = machine(t)
  const sentences: string[] = []
  t.teardown(watchNeeds({ dbus: [lamp] }, surroundings, ([missing]) => void sentences.push(missing?.sentence ?? 'there')))
  const { until } = watching(t, { dbus: [lamp] }, surroundings)
  await until(lamp)
  await privateBus.start()
  const { release } = await serve(privateBus, lamp, {})
  await until('')
  await release()
  await until(lamp)
  await privateBus.addActivatable(lamp)
  await until('')
  await privateBus.stop()
  await until(lamp)
  await privateBus.start()
  await until('')
  const [first, second] = sentences
  t.equal(first, `The service ${lamp} is out of reach. The system bus cannot be reached (ENOENT).`)
  t.not(second, first)
})

void t.test('the hardware behind a service must be there too, and the service is not started to look for it', async (t) => {
  const { privateBus, surroundings } = machine(t)
  await privateBus.start()
  await privateBus.addActivatable(lamp)
  const object = { interface: 'org.example.Bulb1', name: 'light bulb' }
  const needs = { dbus: { [lamp]: { unit: 'lamp.service', object } } }
  const [finding] = await checkNeeds(needs, surroundings)
  const sentence = `The service ${lamp} has no light bulb, or does not run.`
  t.same(finding, {
    kind: 'dbus',
    name: lamp,
    ok: false,
    optional: false,
    sentence,
    mend: 'sudo systemctl enable --now lamp.service',
  })
  const { until } = watching(t, needs, surroundings)
  await until(lamp)
  const { client, release } = await serve(privateBus, lamp, {})
  let objects: unknown[] = []
  // the library would answer this method itself
  const [library] = client.connection.listeners('message') as Array<(message: Message) => void>
  client.connection.removeAllListeners('message')
  client.connection.on('message', (message: Message) => {
    if (message.member === 'GetManagedObjects') client.sendReply(message, 'a{oa{sa{sv}}}', [objects])
    else library?.(message)
  })
  const bulb = [['org.example.Bulb1', []]]
  const signal = (member: string, signature: string, argument: unknown) =>
    client.sendSignal('/', 'org.freedesktop.DBus.ObjectManager', member, signature, ['/bulb', argument])
  objects = [['/bulb', bulb]]
  signal('InterfacesAdded', 'oa{sa{sv}}', bulb)
  await until('')
  t.same(await oks({ dbus: { [lamp]: { object: { ...object, interface: 'org.example.Other1' } } } }, surroundings), [false])
  objects = []
  signal('InterfacesRemoved', 'oas', ['org.example.Bulb1'])
  await until(lamp)
  objects = [['/bulb', bulb]]
  signal('InterfacesAdded', 'oa{sa{sv}}', bulb)
  await until('')
  await release()
  await until(lamp)
})

void t.test('many events are a few checks, and told of once', async (t) => {
  const { install, surroundings } = machine(t)
  let asked = 0
  const bus = {
    watchName: () => () => undefined,
    watchObjects: () => () => undefined,
    isAvailable: async () => {
      asked++
      return true
    },
  }
  const { told, until } = watching(t, { dbus: [lamp], tools: { one: tool, two: tool } }, { ...surroundings, bus })
  await until('one two')
  for (let i = 0; i < 20; i++) {
    install('one')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  install('two')
  await until('')
  t.ok(asked > 2 && asked < 10, `${asked} checks`)
  t.same(told, ['one two', 'two', ''])
})

void t.test('other files in the same directories cost no check', async (t) => {
  const { bin, install, surroundings } = machine(t)
  let asked = 0
  const bus = {
    watchName: () => () => undefined,
    watchObjects: () => () => undefined,
    isAvailable: async () => {
      asked++
      return true
    },
  }
  const { until } = watching(t, { dbus: [lamp], tools: { one: tool } }, { ...surroundings, bus })
  await until('one')
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(bin, `other-${i}`), '')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  t.equal(asked, 1)
  install('one')
  await until('')
})

void t.test('nothing is told after the release, not even by a check under way, and the bus is let go', async (t) => {
  const { install, privateBus, surroundings } = machine(t)
  await privateBus.start()
  const needs = { dbus: [lamp], tools: { one: tool } }
  const early = watching(t, needs, surroundings)
  early.release()
  const { told, until, release } = watching(t, needs, surroundings)
  await until(`${lamp} one`)
  release()
  install('one')
  const later = watching(t, { tools: { one: tool } }, surroundings)
  await later.until('')
  while ((await privateBus.strangers()).length > 0) await new Promise(setImmediate)
  t.same([early.told, told], [[], [`${lamp} one`]])
})

void t.test('a watch keeps no process alive, with or without a bus', async (t) => {
  const { privateBus, root } = machine(t)
  const module = JSON.stringify(new URL('../../../core/lifecycle/needs.ts', import.meta.url).href)
  const bus = JSON.stringify(new URL('../../../core/process/dbus.ts', import.meta.url).href)
  const needs = JSON.stringify({ dbus: [lamp], tools: { sh: tool }, devices: [`${root}/dev/*`] })
  const script = `import { watchNeeds } from ${module}
    import { SystemBus } from ${bus}
    watchNeeds(${needs}, { bus: new SystemBus(${JSON.stringify(privateBus.address)}) }, (missing) => console.log(missing.length))`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  const run = async () => (await promisify(execFile)(process.execPath, args, { timeout: 30_000 })).stdout
  t.equal(await run(), '2\n')
  await privateBus.start()
  t.equal(await run(), '2\n')
})

void t.test('a service can say which package brings it and which unit runs it, and be optional', async (t) => {
  const { privateBus, surroundings } = machine(t)
  const dbus = {
    'org.example.Packed': { package: 'lampd' },
    'org.example.Unit': { package: 'lampd', unit: 'lampd.service', optional: true },
    'org.example.Bare': {},
  }
  const { told, until } = watching(t, { dbus: { 'org.example.Unit': dbus['org.example.Unit'] } }, surroundings)
  await until('')
  t.same(told, [''], 'what is optional is not missed')
  await privateBus.start()
  t.same(await privateBus.strangers(), [], 'and nobody asks the bus for it')
  t.match(await checkNeeds({ dbus }, surroundings), [
    { name: 'org.example.Packed', ok: false, optional: false, mend: 'sudo apt-get install lampd' },
    { optional: true, mend: 'sudo apt-get install lampd && sudo systemctl enable --now lampd.service' },
    { name: 'org.example.Bare', optional: false, mend: undefined },
  ])
})
