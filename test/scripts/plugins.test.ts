import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { addDependencies } from '../../scripts/cli/plugins/dependencies.ts'
import { openSource } from '../../scripts/cli/plugins/source.ts'
import { dist, hardwareOff, Place, reached } from '../cli/daemon.ts'
import { packed, pluginFiles, tarball } from '../cli/packages.ts'

t.setTimeout(300_000)

const off = { plugins: hardwareOff }

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(['plugins', ...args])
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

/** Writes a plugin as a .tgz. */
async function archive(place: Place, ...plugin: Parameters<typeof pluginFiles>): Promise<string> {
  const file = join(place.dir, `${plugin[0]}-${String(plugin[1]?.version ?? '1.0.0')}.tgz`)
  await writeFile(file, await packed(pluginFiles(...plugin)))
  return file
}

async function folder(place: Place, ...plugin: Parameters<typeof pluginFiles>): Promise<string> {
  const dir = join(place.dir, 'mine', plugin[0])
  await mkdir(dir, { recursive: true })
  for (const [name, text] of Object.entries(pluginFiles(...plugin))) await writeFile(join(dir, name), text)
  return dir
}

const config = async (place: Place) =>
  (JSON.parse(await readFile(join(place.configDir, 'plugins.json'), 'utf8')) as { plugins: Record<string, unknown> }).plugins
const inPlugins = async (place: Place) => (await readdir(join(place.dataDir, 'plugins'))).sort()
const versionOf = async (place: Place, id: string) =>
  (JSON.parse(await readFile(join(place.dataDir, 'plugins', id, 'package.json'), 'utf8')) as { version: string }).version
const left = (place: Place) => readdir(join(place.dataDir, 'plugins/.patchbay'))

void t.test('added while the daemon runs it is off; switched on, updated, rolled back and removed, its data stays', async (t) => {
  const place = await Place.create(t, { plugins: off })
  const client = await (await place.start()).client()
  const start = "ctx.handle('lamp:set', () => {})\nctx.handle('lamp:burn', () => {})"
  const asks = { capabilities: { dbus: ['org.bluez'] }, commands: { 'lamp:set': { role: 'operator' }, 'lamp:burn': {} } }
  const first = await archive(place, 'lamp', {}, { description: 'An LED', ...asks }, start)
  const added = await said(place, 'add', first)
  t.match(
    added,
    { code: 0, out: /^Added lamp 1\.0\.0\.\nsha512-.+==\nIt is off\. .*: npx patchbay plugins enable lamp\n$/ },
    added.err,
  )
  await reached(client, 'lamp', 'disabled')
  t.same(await left(place), ['lock', 'previous'], 'nothing is left behind')
  t.equal((await stat(join(place.dataDir, 'plugins/lamp/index.js'))).mode & 0o777, 0o644)

  const asked = await said(place, 'enable', 'lamp')
  t.match(asked, { code: 1, err: /^Nobody can be asked here.* plugins enable lamp --yes\n$/ })
  t.match(asked.out, /^lamp 1\.0\.0: An LED\n\nIt asks for\n {2}dbus:org\.bluez +It calls the service org\.bluez/)
  t.match(asked.out, / {2}lamp:set {3}operators and the owner\n {2}lamp:burn {2}the owner\n/)
  t.match(await said(place, 'enable', 'lamp', '--grant', 'network'), {
    code: 1,
    err: 'It also asks for dbus:org.bluez. It stays off.\n',
  })
  t.notOk((await config(place)).lamp)
  t.match(await said(place, 'enable', 'lamp', '--grant', 'dbus:org.bluez', '--grant', 'network'), { code: 0 })
  t.same((await config(place)).lamp, { grants: ['dbus:org.bluez'], enabled: true }, 'no more than it asks for')
  await reached(client, 'lamp', 'running')

  const second = await archive(
    place,
    'lamp',
    { version: '1.1.0' },
    { ...asks, capabilities: { dbus: ['org.bluez'], network: true } },
    start,
  )
  const updated = await said(place, 'add', second, '--json')
  t.equal(updated.code, 0, updated.err)
  const outcome = JSON.parse(updated.out) as object
  t.match(outcome, { id: 'lamp', version: '1.1.0', before: '1.0.0', isNew: true, enabled: true, asks: [{ grant: 'network' }] })
  t.match(await said(place, 'add', second), {
    out: /^lamp 1\.1\.0 is what is there\.\nIt stays off now\. It asks for more than it was granted: network\. /,
  })
  await reached(client, 'lamp', 'disabled')
  const rows = JSON.parse((await said(place, 'list', '--json')).out) as Array<{ id: string }>
  t.match(
    rows.find(({ id }) => id === 'lamp'),
    { version: '1.1.0', installed: { source: 'file', from: second, name: 'patchbay-lamp', integrity: /^sha512-/ } },
  )

  t.match(await said(place, 'rollback', 'lamp'), { code: 0, out: /^lamp is 1\.0\.0 again\. Version 1\.1\.0 is kept: / })
  t.equal(await versionOf(place, 'lamp'), '1.0.0')
  t.match((await said(place, 'rollback', 'lamp')).out, /^lamp is 1\.1\.0 again\..*\nIt stays off now\. .*network/)

  t.match(await said(place, 'update', 'lamp'), {
    code: 1,
    err: `lamp: It came from a file. To look there again: npx patchbay plugins add ${second}\n`,
  })
  t.match(await said(place, 'disable', 'lamp'), { code: 0 })
  const data = join(place.dataDir, 'store/lamp')
  const laidOut = join(place.dataDir, 'confined')
  await mkdir(join(laidOut, 'lamp/package'), { recursive: true })
  await mkdir(data, { recursive: true })
  await writeFile(join(data, 'store'), 'kept')
  t.match(await said(place, 'remove', 'lamp'), {
    code: 0,
    out: /^Removed lamp\. What it kept stays in .*store\/lamp; .* --data\n$/,
  })
  t.same(await inPlugins(place), ['.patchbay'])
  t.same(await readdir(laidOut), [])
  t.same((await config(place)).lamp, {}, 'what it was granted is forgotten')
  t.equal(await readFile(join(data, 'store'), 'utf8'), 'kept')
  t.match(await said(place, 'add', first), { code: 0 })
  t.equal(await readFile(join(data, 'store'), 'utf8'), 'kept')
  t.match(await said(place, 'rollback', 'lamp'), { code: 1, err: 'There is no earlier version of lamp here.\n' })
  t.match(await said(place, 'remove', 'lamp', '--data'), { code: 0, out: 'Removed lamp and what it kept.\n' })
  t.same(await readdir(join(place.dataDir, 'store')), [])
})

void t.test('on a terminal its owner is asked', async (t) => {
  const place = await Place.create(t, { plugins: off })
  t.equal((await said(place, 'add', await archive(place, 'lamp'))).code, 0)
  const answer = async (text: string) => {
    const command = [process.execPath, ...dist, 'plugins', 'enable', 'lamp'].join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], { env: place.env })
    t.teardown(() => child.kill('SIGKILL'))
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (!out.includes('[y/N]') && (out + chunk).includes('[y/N]')) child.stdin.write(`${text}\r`)
      out += chunk
    })
    await once(child, 'close')
    return { code: child.exitCode, out }
  }
  t.match(await answer(''), { code: 1, out: /asks for nothing beyond.*Switch it on\? \[y\/N\].*It stays as it was\./s })
  t.notOk((await config(place)).lamp)
  t.match(await answer('y'), { code: 0, out: /lamp is switched on/ })
  t.same((await config(place)).lamp, { enabled: true })
})

void t.test('what is no plugin for this host is refused, and nothing is there', async (t) => {
  const place = await Place.create(t, { plugins: off })
  const refused = async (file: string, sentence: RegExp) =>
    t.match(await said(place, 'add', file), { code: 1, err: sentence }, file)
  await refused(
    await archive(place, 'future', { patchbay: { api: 2, contract: './contract.json' } }),
    /patchbay\/api must be 1, the plugin API that this host knows/,
  )
  await refused(await archive(place, 'plain', { patchbay: undefined }), /It is no plugin of Patchbay: .*no "patchbay" field/)
  await refused(
    await archive(place, 'broken', {}, { colour: 'red' }),
    /no plugin that can run here: \.\/contract\.json: colour must be left out/,
  )
  await refused(await archive(place, 'empty', { main: './none.js' }), /its entry file \.\/none\.js is missing/)
  await refused(await archive(place, 'system'), /The id system belongs to a plugin that comes with Patchbay/)
  await refused(await archive(place, 'host'), /"host" is reserved/)
  const link = join(place.dir, 'link.tgz')
  await writeFile(link, await tarball([{ path: 'package/a', type: 'SymbolicLink', linkpath: '/etc/passwd' }]))
  await refused(link, /^The package is refused: "package\/a" is a SymbolicLink/)
  await refused('git+ssh://git@example.org/x', /^There is no file or folder/)
  await refused('--node-options', /Unknown option/)
  await refused(
    await archive(place, 'lamp', { dependencies: { thing: 'someone/thing' } }),
    /^Its dependency thing is to come from someone\/thing; only/,
  )
  t.same(await inPlugins(place), ['.patchbay'])
  t.same(await left(place), ['lock', 'previous'])

  await place.addPlugin('lamp', {}, '')
  await refused(
    await archive(place, 'lamp'),
    /plugins\/lamp is there already, and did not come by this command\. .* plugins remove lamp/,
  )
  t.match(await said(place, 'remove', 'lamp'), { code: 0 }, 'what was dropped in can be removed')
  t.match(await said(place, 'add', await archive(place, 'lamp')), { code: 0 })
  await refused(
    await archive(place, 'lamp', { name: 'impostor', version: '9.0.0' }),
    /belongs to the package patchbay-lamp\. Nothing was changed/,
  )
  t.equal(await versionOf(place, 'lamp'), '1.0.0')

  for (const args of [['add'], ['remove'], ['enable'], ['disable', 'a', 'b'], ['rollback'], ['turn']])
    t.match(await said(place, ...args), { code: 2, err: /^Usage: npx patchbay plugins / }, args.join(' '))
  t.match(await said(place, 'remove', 'storage'), { code: 1, err: /^storage comes with Patchbay/ })
  t.match(await said(place, 'disable', 'host'), { code: 1, err: /stays on/ })
  for (const action of ['remove', 'enable', 'disable'])
    t.match(await said(place, action, 'none'), { code: 1, err: /^There is no plugin none/ })
  t.match(await said(place, 'update', 'none'), { code: 1, err: /^none was not installed by/ })
})

void t.test('only what the registry can have is asked of npm', async (t) => {
  const dir = t.testdir()
  await t.rejects(openSource(join(dir, 'none.tgz')), /^There is no file or folder .*none\.tgz that can be read \(ENOENT\)/)
  for (const name of ['lamp@npm:other', 'lamp@file:x', 'lamp@', '-g', 'la mp', '@me', 'lamp@1 || 2', ''])
    await t.rejects(openSource(name), /is no package of npm's registry/, name)
  for (const name of ['lamp', 'lamp@1.0.0-beta.1+2', '@me/lamp@^1', 'lamp@latest'])
    t.match(await openSource(name), { source: 'npm', from: name })

  const npm = () => Promise.reject(new Error('npm was asked'))
  const specs = [
    'git+https://example.org/x.git',
    'git@example.org:x',
    'someone/thing',
    'https://example.org/x.tgz',
    'file:../../etc',
    '../x',
    'link:x',
    'workspace:*',
  ]
  for (const spec of [...specs, 'npm:x@git+https://example.org/x.git', 'npm:../x', 7])
    for (const field of ['dependencies', 'optionalDependencies'])
      await t.rejects(
        addDependencies(dir, { name: 'lamp', version: '1.0.0', [field]: { thing: spec } }, npm),
        /is to come from/,
        String(spec),
      )
  for (const name of ['../evil', '--global', 'a b', '.bin', ''])
    await t.rejects(
      addDependencies(dir, { name: 'lamp', version: '1.0.0', dependencies: { [name]: '1.0.0' } }, npm),
      /is to come from/,
      name,
    )
  for (const spec of ['', '*', '^1.0.0', '>=1 <3 || 5.x', 'next', 'npm:@me/other@~2'])
    await t.rejects(
      addDependencies(dir, { name: 'lamp', version: '1.0.0', dependencies: { thing: spec } }, npm),
      /npm was asked/,
      spec,
    )
  t.same(await addDependencies(dir, { name: 'lamp', version: '1.0.0', dependencies: { patchbay: 'file:..' } }, npm), {
    packages: {},
    withScripts: [],
  })
})

void t.test('a folder is taken as it is, without what is hidden; one with links is refused', async (t) => {
  const place = await Place.create(t, {
    plugins: { plugins: { ...off.plugins, lamp: { enabled: true, grants: ['network'], settings: { a: 1 } } } },
  })
  const dir = await folder(place, 'lamp', { scripts: { preinstall: 'touch evil' }, dependencies: { patchbay: '^0.1.0' } })
  await mkdir(join(dir, 'node_modules/dev'), { recursive: true })
  await mkdir(join(dir, '.git'))
  await writeFile(join(dir, '.npmrc'), 'registry=http://127.0.0.1:1/')
  const { code, out, err } = await said(place, 'add', `${dir}/`)
  t.equal(code, 0, err)
  t.match(out, /plugins\.json had a plugin of this id switched on; it is off now\./)
  t.same((await config(place)).lamp, { settings: { a: 1 } })
  t.same((await readdir(join(place.dataDir, 'plugins/lamp'))).sort(), [
    '.patchbay-installed.json',
    'contract.json',
    'index.js',
    'package.json',
  ])

  await symlink('/etc/passwd', join(dir, 'passwd'))
  t.match(await said(place, 'add', dir), { code: 1, err: /passwd is a link, no file, or lies too deep/ })
  t.match((await said(place, 'enable', 'lamp', '--yes')).out, /lamp is switched on/)
  await writeFile(join(place.dataDir, 'plugins/lamp/addon.node'), '')
  t.match((await said(place, 'enable', 'lamp', '--yes')).out, /It brings machine code, .*, in addon\.node\./)
})

/** What a command started may outlive it for a moment: the program that lets two directories change places. */
async function untilNoneRuns(place: Place): Promise<void> {
  const runs = async (pid: string) => (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(place.dir)
  const pids = async () => (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  while ((await Promise.all((await pids()).map(runs))).includes(true));
}

void t.test('interrupted wherever, there is the old one or the new, whole; and the next command cleans up', async (t) => {
  const place = await Place.create(t, { plugins: off })
  const content = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`lib/${at}.js`, `export const it = ${at}\n`]))
  const make = async (version: string) => {
    const file = join(place.dir, `lamp-${version}.tgz`)
    await writeFile(file, await packed({ ...pluginFiles('lamp', { version }), ...content }))
    return file
  }
  const found = new Set<string>()
  /** What is there: nothing, or the version, which all of its files must have. */
  const state = async () => {
    if (!(await inPlugins(place)).includes('lamp')) return 'nothing'
    const dir = join(place.dataDir, 'plugins/lamp')
    t.equal((await readdir(join(dir, 'lib'))).length, 300)
    const version = await versionOf(place, 'lamp')
    t.equal((JSON.parse(await readFile(join(dir, '.patchbay-installed.json'), 'utf8')) as { version: string }).version, version)
    return version
  }
  const steps = ['work-', 'package.tgz', 'package/lib/7.js', '.patchbay-installed.json', 'previous/lamp', 'nothing of this name']
  let before = 'nothing'
  for (const [at, step] of [...steps, ...steps].entries()) {
    const version = `1.${at}.0`
    const program = place.run(['plugins', 'add', await make(version)])
    let isOver = false
    void program.exited.then(() => {
      isOver = true
    })
    // Killed as soon as what it makes at this step is to be seen.
    for (;;) {
      const names = await readdir(join(place.dataDir, 'plugins'), { recursive: true }).catch(() => [])
      if (isOver || names.some((name) => name.includes(step))) break
    }
    await program.kill('SIGKILL')
    await untilNoneRuns(place)
    const now = await state()
    t.ok(now === before || now === version, `${step}: ${now}, after ${before}`)
    found.add(now === before ? 'old' : 'new')
    before = now
  }
  t.same([...found].sort(), ['new', 'old'], 'both were seen')
  t.equal((await said(place, 'add', await make('2.0.0'))).code, 0)
  t.equal(await state(), '2.0.0')
  t.same(await left(place), ['lock', 'previous'])
})

void t.test('a disk that is full leaves what was there', async (t) => {
  const place = await Place.create(t, { plugins: off })
  t.equal((await said(place, 'add', await archive(place, 'lamp'))).code, 0)
  const large = join(place.dir, 'large.tgz')
  await writeFile(large, await packed({ ...pluginFiles('lamp', { version: '2.0.0' }), 'large.txt': 'x'.repeat(200_000) }))
  // No file may become larger than this: the same as no room for it.
  // Tap's hooks would end it at the signal that comes with that, which Node.js minds not.
  const command = ['--fsize=100000', 'env', '-u', 'NODE_OPTIONS', process.execPath, ...dist, 'plugins', 'add', large]
  const child = spawn('prlimit', command, { env: place.env })
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  await once(child, 'close')
  t.match({ code: child.exitCode, signal: child.signalCode, err }, { code: 1, signal: null, err: /EFBIG/ })
  t.equal(await versionOf(place, 'lamp'), '1.0.0')
  t.same(await left(place), ['lock', 'previous'])
})

void t.test('two at once do not trample on each other, and updates are one change to whoever looks', async (t) => {
  const place = await Place.create(t, { plugins: off })
  t.equal((await said(place, 'add', await archive(place, 'lamp'))).code, 0)
  const files = [
    await archive(place, 'lamp', { version: '1.1.0' }),
    await archive(place, 'lamp', { version: '1.2.0' }),
    await archive(place, 'fan'),
  ]
  let isOver = false
  let looked = 0
  const watched = (async () => {
    for (; !isOver; looked += 1)
      t.ok(await readFile(join(place.dataDir, 'plugins/lamp/package.json')).catch(() => undefined)) || t.bailout()
  })()
  const all = await Promise.all(files.map((file) => said(place, 'add', file)))
  isOver = true
  await watched
  t.ok(looked > 10)
  t.same(
    all.map(({ code }) => code),
    [0, 0, 0],
    all.map(({ err }) => err).join(),
  )
  t.same(await inPlugins(place), ['.patchbay', 'fan', 'lamp'])
  t.match(await versionOf(place, 'lamp'), /^1\.[12]\.0$/)
  t.same(await left(place), ['lock', 'previous'])
})

void t.test('root adds for whoever owns the data', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const place = await Place.create(t, { plugins: off })
  const [uid, mine] = [65_533, await folder(place, 'lamp')]
  await mkdir(place.dataDir, { mode: 0o700 })
  await chmod(place.dir, 0o711)
  await chmod(mine, 0o700)
  for (const path of [
    place.dataDir,
    place.configDir,
    join(place.configDir, 'plugins.json'),
    join(place.configDir, 'access.json'),
  ])
    await chown(path, uid, uid)
  const { code, err } = await said(place, 'add', mine)
  t.equal(code, 0, err)
  for (const path of ['', 'lamp', 'lamp/index.js', 'lamp/.patchbay-installed.json', '.patchbay/lock'])
    t.match(await stat(join(place.dataDir, 'plugins', path)), { uid, gid: uid }, path)
  t.equal((await said(place, 'remove', 'lamp')).code, 0)

  // A folder of somebody who may not read what root may.
  await chown(mine, 65_532, 65_532)
  await writeFile(join(mine, 'contract.json'), '{"id":"lamp"}', { mode: 0o600 })
  await chmod(join(mine, 'contract.json'), 0o600)
  t.match(await said(place, 'add', mine), { code: 1, err: /contract\.json cannot be read \(EACCES\)/ })
})

void t.test('a backup has what was installed, and where it came from', async (t: Test) => {
  const place = await Place.create(t, { plugins: off })
  t.equal((await said(place, 'add', await archive(place, 'lamp'))).code, 0)
  t.equal((await said(place, 'add', await archive(place, 'lamp', { version: '1.1.0' }))).code, 0)
  const file = join(place.dir, 'pi.tar.gz')
  t.equal(await place.run(['backup', file]).exited, 0)
  await cp(place.dataDir, join(place.dir, 'before'), { recursive: true })
  await rm(place.dataDir, { recursive: true })
  t.equal(await place.run(['restore', file]).exited, 0)
  const rows = JSON.parse((await said(place, '--json')).out) as Array<{ id: string }>
  t.match(
    rows.find(({ id }) => id === 'lamp'),
    { version: '1.1.0', installed: { source: 'file', version: '1.1.0' } },
  )
  t.same(await inPlugins(place), ['lamp'], 'what was replaced is not in it')
})
