import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { Header, Pack, ReadEntry } from 'tar'
import { Place, reached } from './daemon.ts'

async function said(place: Place, ...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  const program = place.run(args)
  return { code: await program.exited, out: program.stdout, err: program.stderr }
}

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
const names = async (archive: string) => (await promisify(execFile)('tar', ['-tzf', archive])).stdout.trim().split('\n').sort()

interface Entry {
  readonly path: string
  readonly type?: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'CharacterDevice' | 'FIFO'
  readonly text?: string
  readonly linkpath?: string
  readonly mode?: number
}

const manifest = (fields: object = {}): Entry => ({
  path: 'patchbay-backup.json',
  text: JSON.stringify({ format: 1, version: '1.0.0', host: 'pi', time: '2026-01-02T03:04:05Z', ...fields }),
})

/** An archive with any entries, also such as `backup` never makes. */
async function archive(place: Place, entries: readonly Entry[]): Promise<string> {
  const pack = new Pack({ gzip: true, portable: true, preservePaths: true })
  const chunks: Buffer[] = []
  pack.on('data', (chunk) => chunks.push(chunk as Buffer))
  for (const { path, text = '', type = 'File', linkpath, mode = 0o600 } of entries) {
    const bytes = Buffer.from(text)
    const entry = new ReadEntry(
      new Header({ path, type, mode, mtime: new Date(), size: bytes.length, ...(linkpath && { linkpath }) }),
    )
    pack.add(entry)
    entry.end(bytes)
  }
  pack.end()
  await pack.promise()
  const file = join(place.dir, 'made.tar.gz')
  await writeFile(file, Buffer.concat(chunks))
  return file
}

/** Everything below a directory, with its content. */
async function picture(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(dir.length), await readFile(file, 'utf8')] as const)),
  )
}

/** A place with something in it that must survive. */
async function inhabited(t: Test): Promise<Place> {
  const place = await Place.create(t, { access: '{\n  // family\n  "users": { "1000": "owner" }\n}\n' })
  await mkdir(join(place.dataDir, 'plugins/lamp'), { recursive: true })
  await writeFile(join(place.dataDir, 'sessions.json'), '{}')
  await writeFile(join(place.dataDir, 'plugins/lamp/index.js'), 'old')
  return place
}

void t.test('backed up while it runs, wiped and restored: the session is good, the plugin is there, comments too', async (t) => {
  const place = await Place.create(t, {
    access: '{\n  // family\n  "users": { "1000": "owner" }\n}\n',
    plugins: { plugins: { lamp: { enabled: true }, system: { enabled: false } } },
  })
  await place.addPlugin('lamp', { events: { 'lamp:state': { retained: true } } }, "ctx.publish('lamp:state')")
  const daemon = await place.start()
  const client = await daemon.client()
  await reached(client, 'lamp', 'running')
  client.socket.close()
  const { sessions } = (await (async () => {
    for (;;) {
      const text = await readFile(join(place.dataDir, 'sessions.json'), 'utf8').catch(() => '')
      if (text.includes('telegram:1000')) return { sessions: text }
    }
  })()) as { sessions: string }
  const file = join(place.dir, 'pi.tar.gz')
  const saved = await said(place, 'backup', file)
  t.equal(saved.code, 0, saved.err)
  t.match(saved.err, /^Saved \d+ files of .*config and .*data to .*pi\.tar\.gz\. Keep it as you would a password/)
  t.equal(await mode(file), '600')
  const saves = await names(file)
  for (const name of ['patchbay-backup.json', 'config/access.json', 'data/sessions.json', 'data/plugins/lamp/index.js'])
    t.ok(saves.includes(name), name)
  t.notMatch(saves.join('\n'), /control|audit/)
  t.notMatch(gunzipSync(await readFile(file)).toString(), client.sessionToken, 'the token itself is nowhere on the disk')
  t.match(await said(place, 'restore', file), {
    code: 1,
    err: /Patchbay runs already with the data directory .*\(process \d+\)\. Stop it first/,
  })
  t.equal(await daemon.program.kill('SIGTERM'), 0)

  await rm(place.configDir, { recursive: true })
  await rm(place.dataDir, { recursive: true })
  const restored = await said(place, 'restore', file)
  t.equal(restored.code, 0, restored.err)
  t.match(restored.out, /^Restored from a backup of .*\nSessions and tokens of then are valid again/)
  t.match(await readFile(join(place.configDir, 'access.json'), 'utf8'), /\/\/ family/)
  t.equal(await readFile(join(place.dataDir, 'sessions.json'), 'utf8'), sessions)
  for (const path of ['data', 'data/plugins/lamp', 'config']) t.equal(await mode(join(place.dir, path)), '700')
  for (const path of ['data/sessions.json', 'data/plugins/lamp/index.js', 'config/access.json'])
    t.equal(await mode(join(place.dir, path)), '600')
  const again = await place.start()
  const back = await again.client(client.sessionToken)
  await reached(back, 'lamp', 'running')
})

void t.test('through pipes, as over SSH; what is no file is left out and told', async (t) => {
  const place = await inhabited(t)
  await symlink('/etc/passwd', join(place.dataDir, 'plugins/lamp/passwd'))
  const listening = createServer().listen(join(place.dataDir, 'socket'))
  t.teardown(() => listening.close())
  await mkdir(join(place.dataDir, 'host/audit'), { recursive: true })
  await writeFile(join(place.dataDir, 'host/audit/audit.log'), 'then\n')
  const file = join(place.dir, 'piped.tar.gz')
  const shell = (script: string) =>
    promisify(execFile)(
      'sh',
      ['-c', script, 'sh', process.execPath, new URL('../../dist/cli.js', import.meta.url).pathname, file],
      { env: place.env },
    )
  const { stderr } = await shell('"$1" "$2" backup - --with-audit > "$3"')
  t.match(stderr, /Left out: .*lamp\/passwd, which is a link or no file\.\nLeft out: .*data\/socket/)
  t.match(await names(file), [
    'config/access.json',
    'config/plugins.json',
    'data/host/audit/audit.log',
    'data/plugins/lamp/index.js',
    'data/sessions.json',
    'patchbay-backup.json',
  ])

  await writeFile(join(place.dataDir, 'plugins/lamp/index.js'), 'new')
  await writeFile(join(place.dataDir, 'sessions.json'), '{"now":1}')
  await writeFile(join(place.dataDir, 'host/audit/audit.log'), 'then\nnow\n')
  await writeFile(join(place.configDir, 'host.json'), '{ "port": 9000 }')
  await chmod(join(place.configDir, 'access.json'), 0o640)
  const { stdout } = await shell('cat "$3" | "$1" "$2" restore - --without-sessions')
  t.match(stdout, /Sessions and tokens are left as they were here\.\nWhat was here before lies in .*before-restore/)
  const after = await picture(place.dataDir)
  t.match(
    after,
    { '/plugins/lamp/index.js': 'old', '/sessions.json': '{"now":1}', '/host/audit/audit.log': 'then\nnow\n' },
    'the audit goes on',
  )
  t.equal(await mode(join(place.configDir, 'access.json')), '640', 'a file that was there keeps its mode')
  t.notOk((await readdir(place.configDir)).includes('host.json'), 'what was not there then is not there now')
  const kept = Object.entries(after).filter(([path]) => path.startsWith('/before-restore/'))
  const find = (end: string) => kept.find(([path]) => path.endsWith(end))?.[1]
  t.equal(find('/data/plugins/lamp/index.js'), 'new')
  t.equal(find('/config/host.json'), '{ "port": 9000 }')
  t.equal(find('/data/host/audit-of-backup/audit.log'), 'then\n')
  await said(place, 'backup', file)
  t.notMatch((await names(file)).join('\n'), 'before-restore', 'a backup does not hold what an earlier restore kept')
})

void t.test('an archive that is not as backup makes it changes nothing', async (t) => {
  const place = await inhabited(t)
  const before = [await picture(place.configDir), await picture(place.dataDir)]
  const good = { path: 'data/plugins/lamp/index.js', text: 'evil' }
  const hostile: Array<readonly [string, readonly Entry[], RegExp]> = [
    ['a symbolic link', [manifest(), { path: 'data/plugins/a', type: 'SymbolicLink', linkpath: '/etc' }], /is a SymbolicLink/],
    [
      'a hard link',
      [manifest(), good, { path: 'data/plugins/b', type: 'Link', linkpath: 'data/plugins/lamp/index.js' }],
      /is a Link/,
    ],
    ['a device', [manifest(), { path: 'data/plugins/null', type: 'CharacterDevice' }], /is a CharacterDevice/],
    ['a pipe', [manifest(), { path: 'data/plugins/pipe', type: 'FIFO' }], /is a FIFO/],
    ['a directory', [manifest(), { path: 'data/plugins/', type: 'Directory' }], /is a Directory/],
    ['..', [manifest(), { path: 'data/../../evil', text: 'x' }], /does not belong in it/],
    ['.. at the top', [manifest(), { path: '../evil', text: 'x' }], /does not belong in it/],
    ['an absolute path', [manifest(), { path: `${place.dir}/evil`, text: 'x' }], /does not belong in it/],
    ['an empty segment', [manifest(), { path: 'data/plugins//evil', text: 'x' }], /does not belong in it/],
    ['a control character', [manifest(), { path: 'data/plugins/a\u001b[31m', text: 'x' }], /u001b.*does not belong in it/],
    ['a backslash', [manifest(), { path: 'data/plugins\\evil', text: 'x' }], /does not belong in it/],
    ['the socket', [manifest(), { path: 'data/control/socket', text: 'x' }], /does not belong in it/],
    ['what an earlier restore kept', [manifest(), { path: 'data/before-restore/x', text: 'x' }], /does not belong in it/],
    ['another file of configuration', [manifest(), { path: 'config/evil.json', text: '{}' }], /does not belong in it/],
    [
      'a large file of configuration',
      [manifest(), { path: 'config/host.json', text: `{}${' '.repeat(1024 ** 2)}` }],
      /does not belong in it/,
    ],
    ['another place', [manifest(), { path: 'etc/passwd', text: 'x' }], /does not belong in it/],
    ['a file twice', [manifest(), good, good], /is in it twice/],
    ['a path of great depth', [manifest(), { path: `data/${'a/'.repeat(40)}b`, text: 'x' }], /does not belong in it/],
    ['no manifest', [good], /does not begin with/],
    ['a manifest at the end', [good, manifest()], /does not begin with/],
    ['a manifest that is no JSON', [{ path: 'patchbay-backup.json', text: '{' }], /is no JSON/],
    ['a manifest without a format', [manifest({ format: '1' })], /names no format/],
    ['a large manifest', [manifest({ host: 'x'.repeat(1e5) })], /is too large/],
    ['nothing', [], /it is no tar archive/],
    [
      'a wrong configuration',
      [manifest(), good, { path: 'config/access.json', text: '{ "user": {} }' }],
      /not valid\. Nothing was changed\.\naccess\.json:1:3: "user" is not a setting/,
    ],
  ]
  for (const [what, entries, sentence] of hostile) {
    const result = await said(place, 'restore', await archive(place, entries))
    t.equal(result.code, 1, what)
    t.match(result.err, sentence, what)
    t.match(result.err, /Nothing was changed/, what)
    t.notMatch(result.err, '\u001b')
  }
  t.match(await said(place, 'restore', await archive(place, [manifest({ format: 2 })])), {
    code: 1,
    err: /has format 2; this version of Patchbay knows format 1/,
  })

  const whole = await readFile(await archive(place, [manifest(), { path: 'data/sessions.json', text: 'x'.repeat(5000) }]))
  const damaged: Array<readonly [string, Buffer]> = [
    ['cut off', whole.subarray(0, whole.length - 20)],
    ['cut off before it was packed', gzipSync(gunzipSync(whole).subarray(0, 3000))],
    [
      'with a wrong checksum',
      gzipSync(Buffer.from(gunzipSync(whole).toString('latin1').replace('data/sessions', 'data/sessionz'), 'latin1')),
    ],
    ['not packed', gunzipSync(whole)],
    ['of nothing', Buffer.alloc(0)],
    ['of anything', Buffer.from('hello')],
  ]
  for (const [what, bytes] of damaged) {
    const file = join(place.dir, 'damaged.tar.gz')
    await writeFile(file, bytes)
    const result = await said(place, 'restore', file)
    t.match(result, { code: 1, err: /^This is no backup of Patchbay's, or it is damaged: .*Nothing was changed/ }, what)
  }
  t.same([await picture(place.configDir), await picture(place.dataDir)], before)
  t.same(
    (await readdir(place.dir)).filter((name) => name.includes('evil')),
    [],
  )
  t.notMatch(await readdir(place.dataDir), ['before-restore'], 'nothing is left behind')
})

void t.test('a bomb is put out: what is small on the disk may not be large inside', async (t) => {
  const place = await inhabited(t)
  const header = Buffer.alloc(512)
  new Header({ path: 'data/plugins/bomb', type: 'File', mode: 0o600, size: 4 * 1024 ** 3, mtime: new Date() }).encode(header)
  const head = gunzipSync(await readFile(await archive(place, [manifest()]))).subarray(0, 1024)
  const zeros = gzipSync(Buffer.alloc(64 * 1024 ** 2))
  const file = join(place.dir, 'bomb.tar.gz')
  await writeFile(file, Buffer.concat([gzipSync(Buffer.concat([head, header])), ...(Array(4).fill(zeros) as Buffer[])]))
  t.match(await said(place, 'restore', file), { code: 1, err: /it holds more than 1 GiB/ })

  // After the archive's end, where no entry tells its size.
  await writeFile(
    file,
    Buffer.concat([gzipSync(Buffer.concat([head, Buffer.alloc(1024)])), ...(Array(25).fill(zeros) as Buffer[])]),
  )
  t.match(await said(place, 'restore', file), { code: 1, err: /it goes on after its end/ })
  t.equal(await readFile(join(place.dataDir, 'plugins/lamp/index.js'), 'utf8'), 'old')
})

void t.test('what cannot be put in place leaves everything as it was', async (t) => {
  const place = await inhabited(t)
  const file = join(place.dir, 'pi.tar.gz')
  await said(place, 'backup', file)
  await writeFile(join(place.dataDir, 'sessions.json'), '{"now":1}')
  const before = await picture(place.dataDir)
  // A directory where a file is to be.
  await rm(join(place.configDir, 'plugins.json'))
  await mkdir(join(place.configDir, 'plugins.json'))
  t.match(await said(place, 'restore', file), {
    code: 1,
    err: 'It could not be put in place (EISDIR), and everything is as it was.\n',
  })
  t.match(await picture(place.dataDir), before)
  t.match(await readFile(join(place.configDir, 'access.json'), 'utf8'), /family/)
})

void t.test('a backup is whole or not there, and says what is wrong', async (t) => {
  const place = await inhabited(t)
  t.match(await said(place, 'backup'), { code: 1, err: 'Usage: npx patchbay backup <file.tar.gz, or -> [--with-audit]\n' })
  t.match(await said(place, 'restore'), {
    code: 1,
    err: 'Usage: npx patchbay restore <file.tar.gz, or -> [--without-sessions]\n',
  })
  t.match(await said(place, 'backup', place.dir), { code: 1, err: /is a directory; name a file in it/ })
  t.match(await said(place, 'backup', join(place.dir, 'none/pi.tar.gz')), { code: 1, err: /cannot be written \(ENOENT\)/ })
  t.match(await said(place, 'restore', join(place.dir, 'none.tar.gz')), { code: 1, err: /cannot be read \(ENOENT\)/ })
  const file = join(place.dir, 'pi.tar.gz')
  t.equal((await said(place, 'backup', file)).code, 0)
  const first = await readFile(file)
  await rm(join(place.configDir, 'access.json'))
  await symlink('/etc/passwd', join(place.configDir, 'access.json'))
  t.match(await said(place, 'backup', file), { code: 1, err: /access\.json cannot be read \(ELOOP\)/ })
  t.same(await readFile(file), first, 'the earlier one stands')
  t.same(
    (await readdir(place.dir)).filter((name) => name.endsWith('.part')),
    [],
  )
})
