import t from 'tap'
import { failing, fakeDBus, fakeExec } from '../../../core/testing/index.ts'

const service = 'org.example.Lamp'
const request = { service, path: '/lamp', interface: service, method: 'Get' }

void t.test('a fake bus answers what is scripted and remembers what it was asked', async (t) => {
  const dbus = fakeDBus({
    [service]: {
      'org.example.Lamp.Get': [42],
      'org.example.Lamp.Set': ({ args = [] }) => [args[0], 'set'],
      'org.example.Lamp.Break': failing({ dbusName: 'org.example.Error.Broken' }),
    },
  })
  t.same(await dbus.call(request), [42])
  t.same(await dbus.call({ ...request, method: 'Set', signature: 'u', args: [7] }), [7, 'set'])
  await t.rejects(dbus.call({ ...request, method: 'Break' }), { message: 'org.example.Error.Broken' })
  t.same(
    dbus.calls.map(({ method }) => method),
    ['Get', 'Set', 'Break'],
  )
  t.same(dbus.unexpected, [])
})

void t.test('on a fake bus the services run that are scripted', async (t) => {
  const dbus = fakeDBus({ [service]: {} })
  for (const [name, isRunning] of [
    [service, true],
    ['toString', false],
  ] as const)
    t.equal(await new Promise((resolve) => t.teardown(dbus.watchName(name, resolve))), isRunning, name)
  dbus.watchName(service, () => t.fail('the watch has ended'))()
})

void t.test('a fake bus refuses and remembers what is not scripted, and what a real bus would hang up on', async (t) => {
  const dbus = fakeDBus({ [service]: { 'org.example.Lamp.Set': [] } })
  const wrong = [
    { ...request, method: 'constructor' },
    { ...request, service: 'toString' },
    { ...request, method: 'Set', signature: 'u', args: ['bright'] },
    { ...request, method: 'Set', signature: 'u' },
  ]
  for (const each of wrong) await t.rejects(dbus.call(each), TypeError)
  t.match(dbus.unexpected, [
    /Lamp\.constructor\(\) is not scripted/,
    /toString: .* is not scripted/,
    /Set\(bright\) does not fit its signature "u"/,
    /Set\(\) does not fit/,
  ])
})

void t.test('a fake bus has objects, and says what a test lets its services say', async (t) => {
  const dbus = fakeDBus({ [service]: {} })
  const shown: unknown[] = []
  const plain = (objects: ReadonlyMap<string, ReadonlyMap<string, unknown>>) =>
    Object.fromEntries([...objects].map(([path, has]) => [path, Object.fromEntries(has)]))
  const unwatch = dbus.watchObjects(
    service,
    { root: '/lamps', interfaces: [service] },
    (objects) => void shown.push(plain(objects)),
  )
  await new Promise(setImmediate)
  dbus.setObjects('org.example.Other', { '/lamps/1': { [service]: {} } })
  dbus.setObjects(service, {
    '/lamps/1': { [service]: { On: true }, 'org.example.X': {} },
    '/lamps': { [service]: {} },
    '/a': {},
  })
  unwatch()
  dbus.setObjects(service, {})
  t.same(shown, [{}, { '/lamps/1': { [service]: { On: true } } }])

  const heard: unknown[] = []
  const unlisten = dbus.onSignal(service, { path: '/lamps', member: 'Lit' }, ({ path, args }) => void heard.push([path, ...args]))
  dbus.signal(service, { path: '/lamps', member: 'Lit', args: [1] })
  dbus.signal(service, { path: '/lamps/2', member: 'Lit' })
  for (const other of [{ path: '/lampshade', member: 'Lit' }, { path: '/lamps', member: 'Out' }, {}]) dbus.signal(service, other)
  dbus.signal('org.example.Other', { path: '/lamps', member: 'Lit' })
  unlisten()
  dbus.signal(service, { path: '/lamps', member: 'Lit' })
  t.same(heard, [['/lamps', 1], ['/lamps/2']])
})

void t.test('a test calls what a plugin serves', async (t) => {
  const dbus = fakeDBus({ [service]: {} })
  const unserve = dbus.serve('/me', service, {
    Ask: { in: 'u', out: 's', handle: ([number], who) => `${String(number)} ${who}` },
  })
  t.equal(await dbus.callServed(service, '/me', service, 'Ask', 5), `5 ${service}`)
  const unknown = { message: 'org.freedesktop.DBus.Error.UnknownMethod' }
  await t.rejects(dbus.callServed(service, '/me', service, 'toString'), unknown)
  unserve()
  await t.rejects(dbus.callServed(service, '/me', service, 'Ask', 5), unknown)
})

void t.test('a fake exec answers by the command line before the program', async (t) => {
  const exec = fakeExec({
    'lamp --list': { stdout: 'one\n' },
    lamp: (args) => ({ exitCode: 2, stderr: args.join() }),
    torch: failing({ code: 'ENOENT' }, 'The program torch is not installed.'),
  })
  t.same(await exec.run('lamp', ['--list']), { exitCode: 0, stdout: 'one\n', stderr: '' })
  t.same(await exec.run('lamp', ['--all', '-x']), { exitCode: 2, stdout: '', stderr: '--all,-x' })
  await t.rejects(exec.run('torch', []), { code: 'ENOENT', message: 'The program torch is not installed.' })
  t.same(exec.unexpected, [])
  await t.rejects(exec.run('candle', ['--light']), { message: '"candle --light" is not scripted' })
  t.same(exec.unexpected, ['"candle --light" is not scripted'])
  t.same(exec.calls.at(-1), { program: 'candle', args: ['--light'] })
})

void t.test('a program that a fake exec starts says what is scripted, takes input, and ends when it is stopped', async (t) => {
  const said: string[] = []
  const exec = fakeExec({
    'lamp --follow': { stdout: 'on\n' },
    'lamp --once': { exitCode: 3, stderr: 'dark' },
    torch: failing({ code: 'ENOENT' }),
  })
  const lamp = await exec.start('lamp', ['--follow'], { onStdout: (piece) => said.push(String(piece)) })
  t.same(said, ['on\n'])
  await lamp.write('bright')
  lamp.end()
  t.equal(String(exec.inputs[0]), 'bright')
  await lamp.stop()
  t.same(await lamp.ended, { exitCode: 137, stderr: '' })
  const abort = new AbortController()
  const other = await exec.start('lamp', ['--follow'], { signal: abort.signal })
  abort.abort()
  t.equal((await other.ended).exitCode, 137)
  t.same(await (await exec.start('lamp', ['--once'])).ended, { exitCode: 3, stderr: 'dark' })
  await t.rejects(exec.start('torch', []), { code: 'ENOENT' })
  await t.rejects(exec.start('candle', []), { message: '"candle" is not scripted' })
})
