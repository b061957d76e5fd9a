import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import t, { type Test as T } from 'tap'
import { Config } from '../../../core/config/config.ts'
import { ConfigError } from '../../../core/config/problem.ts'

type Change = 'host' | 'access' | 'plugins' | 'problems'

/** A configuration and what it has told. */
async function openedIn(configDir: string) {
  const config = await Config.open({ configDir, env: {} })
  const changes: Change[] = []
  const waiting = new Set<() => void>()
  config.onChange((change) => {
    changes.push(change)
    for (const wake of waiting) wake()
  })
  /** Until that many changes were told in all. */
  const told = (count: number) =>
    new Promise<Change[]>((resolve) => {
      const look = () => {
        if (changes.length >= count) resolve(changes)
      }
      waiting.add(look)
      look()
    })
  return { config, changes, told }
}

const message = (work: Promise<unknown>) =>
  work.then(
    () => t.fail('it did not reject'),
    (error: unknown) => (error instanceof ConfigError ? error.message : t.fail(`not a ConfigError: ${error}`)),
  )

/** Closes what was opened before the test's directory is removed: a watcher that sees that while it is closed may come alive again. */
function test(name: string, work: (t: T, opened: typeof openedIn) => Promise<void>): void {
  void t.test(name, async (t) => {
    const all: Config[] = []
    const opened = async (dir: string) => {
      const one = await openedIn(dir)
      all.push(one.config)
      return one
    }
    try {
      await work(t, opened)
    } finally {
      await Promise.all(all.map((config) => config.close()))
    }
  })
}

test('a change on disk is in force when it is told, one that changes no value is not told', async (t, opened) => {
  const dir = t.testdir({ 'host.json': '{ "log": { "level": "info" } }', 'access.json': '{}' })
  const { config, told } = await opened(dir)
  const levels: string[] = []
  config.onChange((change) => levels.push(`${change} ${config.host.log.level}`))
  await config.watch()
  writeFileSync(join(dir, 'access.json'), '{ "users": {} } // nobody still')
  writeFileSync(join(dir, 'host.json'), '{ "log": { "level": "warn" } }')
  t.same(await told(1), ['host'])
  t.same(levels, ['host warn'])
})

test('what changed between open and watch is applied', async (t, opened) => {
  const dir = t.testdir({ 'access.json': '{ "users": { "5": "owner" } }' })
  const { config, told } = await opened(dir)
  rmSync(join(dir, 'access.json'))
  await config.watch()
  t.same(await told(1), ['access'])
  t.same(config.access.users, {})
})

test('directory and files may come later, go and come again', async (t, opened) => {
  const dir = join(t.testdir(), 'deep/config')
  const { config, told } = await opened(dir)
  await config.watch()
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, 'plugins.json'), '{ "plugins": { "wifi": {} } }')
  t.same(await told(1), ['plugins'])
  rmSync(dir, { recursive: true })
  await told(2)
  t.same(config.plugins.plugins, {})
  mkdirSync(dir)
  writeFileSync(join(dir, 'plugins.json'), '{ "plugins": { "audio": {} } }')
  await told(3)
  t.same(config.plugins.plugins, { audio: { memoryMb: 256, settings: {} } })
})

test('a file replaced by renaming, as editors do, and one behind a link are watched', async (t, opened) => {
  const dir = t.testdir({ 'host.json': '{}', elsewhere: '{}' })
  symlinkSync('elsewhere', join(dir, 'access.json'))
  const { config, told } = await opened(dir)
  await config.watch()
  for (const [index, port] of [1, 2, 3].entries()) {
    renameSync(join(dir, 'host.json'), join(dir, 'host.json~'))
    writeFileSync(join(dir, '.host.json.swp'), `{ "port": ${port} }`)
    renameSync(join(dir, '.host.json.swp'), join(dir, 'host.json'))
    await told(index + 1)
    t.equal(config.host.port, port)
  }
  writeFileSync(join(dir, 'elsewhere'), '{ "users": { "5": "owner" } }')
  t.same(await told(4), ['host', 'host', 'host', 'access'])
})

test('a burst of writes is read once', async (t, opened) => {
  const dir = t.testdir({ 'host.json': '{}' })
  const { config, told } = await opened(dir)
  await config.watch()
  for (let port = 1; port <= 100; port++) writeFileSync(join(dir, 'host.json'), `{ "port": ${port} }`)
  t.same(await told(1), ['host'])
  t.equal(config.host.port, 100)
})

test('a file that stops being valid is told, its last good content stays until it is mended', async (t, opened) => {
  const dir = t.testdir({ 'access.json': '{ "users": { "5": "owner" } }' })
  const { config, told } = await opened(dir)
  await config.watch()
  writeFileSync(join(dir, 'access.json'), '{ "users": {\n "5": "boss" } }')
  t.same(await told(1), ['problems'])
  t.same(config.problems, [{ file: 'access.json', line: 2, column: 2, message: 'there is no role "boss"; define it in "roles"' }])
  t.same(config.access.users, { 5: 'owner' })
  rmSync(join(dir, 'access.json'))
  mkdirSync(join(dir, 'access.json'))
  await told(2)
  t.match(config.problems, [{ message: 'this is not a regular file' }])
  rmSync(join(dir, 'access.json'), { recursive: true })
  writeFileSync(join(dir, 'access.json'), '{ "users": { "5": "viewer" } }')
  t.same(await told(4), ['problems', 'problems', 'problems', 'access'])
  t.same(config.problems, [])
  t.same(config.access.users, { 5: 'viewer' })
})

test('who has ended listening, and after close everybody, hears nothing', async (t, opened) => {
  const dir = t.testdir()
  const { config, changes, told } = await opened(dir)
  const heard: Change[] = []
  const end = config.onChange((change) => heard.push(change))
  await config.update('access', ['users', '5'], 'owner')
  end()
  await config.update('access', ['users', '5'], 'viewer')
  t.same(heard, ['access'])
  await config.watch()
  writeFileSync(join(dir, 'access.json'), '{}')
  await config.close()
  const other = await opened(dir)
  await other.config.watch()
  writeFileSync(join(dir, 'access.json'), '{ "users": { "6": "owner" } }')
  await other.told(1)
  t.same(await told(2), changes)
  t.equal(changes.length, 2)
})

test('the watcher leaves the directory’s neighbours alone', async (t, opened) => {
  const neighbours = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`n${index}`, { inside: '' }]))
  const dir = join(t.testdir({ ...neighbours, config: { 'host.json': '{}', notes: '' } }), 'config')
  const before = inotifyWatches()
  await (await opened(dir)).config.watch()
  t.equal(inotifyWatches() - before, 3, 'the directory, the one above it, and the file')
})

/** How many files and directories this process watches, as the kernel tells. */
function inotifyWatches(): number {
  const read = (fd: string) => {
    try {
      return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    } catch {
      return '' // the descriptor of the listing itself is closed by now
    }
  }
  return readdirSync('/proc/self/fdinfo').map(read).join('').split('inotify wd:').length - 1
}

test('close lets an update finish', async (t, opened) => {
  const dir = t.testdir()
  const { config } = await opened(dir)
  const update = config.update('access', ['users', '5'], 'owner')
  await config.close()
  t.match(readFileSync(join(dir, 'access.json'), 'utf8'), '"5": "owner"')
  await update
})

test('a watch that fails is a problem that is told', async (t, opened) => {
  const dir = join(t.testdir(), 'config')
  const { config, told } = await opened(dir)
  symlinkSync('config', dir)
  await config.watch()
  await told(1)
  t.match(config.problems, [{ message: /ELOOP/ }])
})

test('an update writes one value and is in force when it resolves; comments, order and mode stay', async (t, opened) => {
  const text = '// mine\n{\n  "plugins": {\n    "wifi": { "enabled": true }, // upstairs\n    "audio": {}\n  }\n}\n'
  const dir = t.testdir({ 'plugins.json': text })
  const file = join(dir, 'plugins.json')
  const mode = statSync(file).mode
  const { config, changes } = await opened(dir)
  await config.update('plugins', ['plugins', 'wifi', 'enabled'], false)
  t.equal(config.plugins.plugins.wifi?.enabled, false)
  t.same(changes, ['plugins'])
  t.equal(readFileSync(file, 'utf8'), text.replace('true', 'false'))
  t.equal(statSync(file).mode, mode)
  const { ino } = statSync(file)
  await config.update('plugins', ['plugins', 'wifi', 'enabled'], false)
  t.equal(statSync(file).ino, ino, 'nothing to change, nothing written')
  await config.update('plugins', ['plugins', 'wifi'], undefined)
  t.same(config.plugins.plugins, { audio: { memoryMb: 256, settings: {} } })
})

test('a new file is for its owner’s eyes and begins with its schema', async (t, opened) => {
  const dir = join(t.testdir(), 'new/config')
  const { config } = await opened(dir)
  await config.update('access', ['users', '279058397'], 'owner')
  const file = join(dir, 'access.json')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(dirname(file)).mode & 0o777, 0o700)
  const text = readFileSync(file, 'utf8')
  const [, schema = ''] =
    /^\{\n {2}"\$schema": "(.*)",\n {2}"users": \{\n {4}"279058397": "owner"\n {2}\}\n\}\n$/.exec(text) ?? []
  t.match(JSON.parse(readFileSync(resolve(dir, schema), 'utf8')), { title: 'Patchbay: access.json' })
})

test('updates at once all land, also beside the watcher', async (t, opened) => {
  const dir = t.testdir()
  const { config, changes } = await opened(dir)
  await config.watch()
  const ids = Array.from({ length: 20 }, (_, index) => `${index + 1}`)
  await Promise.all(ids.map((id) => config.update('access', ['users', id], 'viewer')))
  t.same(Object.keys((await Config.open({ configDir: dir, env: {} })).access.users), ids)
  t.same(Object.keys(config.access.users), ids)
  await config.close()
  t.equal(changes.length, ids.length, 'the watcher finds nothing new')
})

test('an update that would make the file invalid is refused and writes nothing; the next one works', async (t, opened) => {
  const dir = t.testdir({ 'access.json': '{ "users": { "5": "owner" } }' })
  const { config, changes } = await opened(dir)
  t.match(
    await message(config.update('access', ['users', '6'], 'boss')),
    /^access.json would not be valid .*\naccess.json:\d+:\d+: there is no role "boss"/,
  )
  for (const key of ['x', '__proto__', 'constructor']) await message(config.update('access', ['users', key], 'owner'))
  await message(config.update('access', ['users', '5', 'deep'], 1))
  t.equal(readFileSync(join(dir, 'access.json'), 'utf8'), '{ "users": { "5": "owner" } }')
  t.same(changes, [])
  await config.update('access', ['users', '6'], 'viewer')
  t.same(changes, ['access'])
})

test('a file that is invalid on disk is not overwritten', async (t, opened) => {
  const dir = t.testdir({ 'plugins.json': '{}' })
  const { config } = await opened(dir)
  writeFileSync(join(dir, 'plugins.json'), '{ "plugins": { // half ')
  t.match(
    await message(config.update('plugins', ['plugins', 'wifi', 'enabled'], true)),
    /^plugins.json is not valid and was left alone\nplugins.json:1:\d+: Close brace expected here/,
  )
  t.equal(readFileSync(join(dir, 'plugins.json'), 'utf8'), '{ "plugins": { // half ')
})

test('an update keeps what somebody wrote by hand a moment ago', async (t, opened) => {
  const dir = t.testdir({ 'access.json': '{ "users": { "5": "owner" } }' })
  const { config } = await opened(dir)
  writeFileSync(join(dir, 'access.json'), '{ "users": { "5": "owner", "6": "viewer" } }')
  await config.update('access', ['users', '7'], 'operator')
  t.same(config.access.users, { 5: 'owner', 6: 'viewer', 7: 'operator' })
})

test('a directory that takes no files is told', async (t, opened) => {
  const { config } = await opened('/proc/self')
  t.match(await message(config.update('access', ['users', '5'], 'owner')), /^access\.json cannot be written \((ENOENT|EACCES)/)
  t.same(config.access.users, {})
})
