import { execFileSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkTrust, packageWalk } from '../../../core/lifecycle/package-walk.ts'
import { writePackage } from './package.ts'

const walk = (dir: string) => packageWalk(dir, { builtin: false })
const lamp = (t: Test) => writePackage(join(t.testdir(), 'lamp'))

void t.test('the digest changes with names, sizes and times, and with nothing else', async (t) => {
  const dir = lamp(t)
  const seen = new Set([await walk(dir)])
  t.match([...seen][0], /^[0-9a-f]{64}$/)
  const changes: Array<() => void> = [
    () => writeFileSync(join(dir, 'index.js'), 'export default 1'),
    () => utimesSync(join(dir, 'index.js'), 1, 1),
    () => writeFileSync(join(dir, 'more.js'), ''),
    () => mkdirSync(join(dir, 'lib')),
    () => rmSync(join(dir, 'lib'), { recursive: true }),
  ]
  for (const change of changes) {
    const before = await walk(dir)
    change()
    seen.add(await walk(dir))
    t.not(await walk(dir), before)
  }
  const before = await walk(dir)
  mkdirSync(join(dir, 'node_modules/x'), { recursive: true })
  mkdirSync(join(dir, '.git'))
  const withModules = await walk(dir)
  symlinkSync('/etc', join(dir, 'node_modules/link'))
  writeFileSync(join(dir, '.git/index'), 'x')
  t.equal(await walk(dir), withModules, 'what lies in node_modules and .git does not count')
  t.equal(withModules, before)
  t.equal(seen.size, 5, 'and what is undone has the digest of before')
})

void t.test('links are refused wherever they are', async (t) => {
  const dir = lamp(t)
  symlinkSync('lamp', `${dir}-link`)
  await t.rejects(walk(`${dir}-link`), {
    message: /^the package directory is a symbolic link, .* put what it points to in its place$/,
  })
  symlinkSync('/tmp', join(dir, 'node_modules'))
  await t.rejects(walk(dir), { message: /^node_modules is a symbolic link/ })
  rmSync(join(dir, 'node_modules'))
  mkdirSync(join(dir, 'lib'))
  symlinkSync('../index.js', join(dir, 'lib/x.js'))
  await t.rejects(walk(dir), { message: /^lib\/x\.js is a symbolic link/ })
})

void t.test('pipes and sockets are refused and not waited for', async (t) => {
  const dir = lamp(t)
  execFileSync('mkfifo', [join(dir, 'pipe')])
  await t.rejects(walk(dir), { message: 'pipe is a pipe, a socket or a device; remove it' })
  rmSync(join(dir, 'pipe'))
  const before = process.cwd()
  process.chdir(dir) // The path of a socket is at most 107 bytes long.
  const server = createServer().listen('s')
  process.chdir(before)
  await new Promise((resolve) => server.once('listening', resolve))
  await t.rejects(walk(dir), { message: /^s is a pipe, a socket or a device/ })
  await new Promise((resolve) => server.close(resolve))
})

void t.test('what others may write is refused', async (t) => {
  const dir = lamp(t)
  chmodSync(join(dir, 'index.js'), 0o666)
  await t.rejects(walk(dir), { message: 'index.js may be written by everyone; chmod o-w it' })
  chmodSync(join(dir, 'index.js'), 0o644)
  chmodSync(dir, 0o777)
  await t.rejects(walk(dir), { message: 'the package directory may be written by everyone; chmod o-w it' })
  await t.rejects(packageWalk(dir, { builtin: true }), { message: /may be written by everyone/ })
  chmodSync(dir, 0o755)

  const like = (fields: object) => Object.assign(lstatSync(dir), fields)
  const other = { gid: (process.getgid?.() ?? 0) + 1, uid: (process.getuid?.() ?? 0) + 1 }
  const groupWritable = lstatSync(dir).mode | 0o020
  t.throws(() => checkTrust(like({ mode: groupWritable, gid: other.gid }), 'x', false), {
    message: /^x may be written by another group/,
  })
  t.doesNotThrow(() => checkTrust(like({ mode: groupWritable, gid: process.getgid?.() }), 'x', false))
  t.throws(() => checkTrust(like({ uid: other.uid }), 'x', false), { message: /^x belongs to another user .*; chown it/ })
  t.doesNotThrow(() => checkTrust(like({ uid: 0 }), 'x', false))
  t.doesNotThrow(
    () => checkTrust(like({ ...other, mode: groupWritable }), 'x', true),
    'what is built in has the owner of the core',
  )
})

void t.test('packages are bounded in file size, number of files and depth', async (t) => {
  const dir = lamp(t)
  writeFileSync(join(dir, 'big'), '')
  truncateSync(join(dir, 'big'), 8 * 1024 * 1024)
  await t.resolves(walk(dir))
  truncateSync(join(dir, 'big'), 8 * 1024 * 1024 + 1)
  await t.rejects(walk(dir), { message: 'big is larger than 8 MiB; keep data outside the package' })
  rmSync(join(dir, 'big'))

  mkdirSync(join(dir, Array(16).fill('d').join('/')), { recursive: true })
  await t.resolves(walk(dir))
  mkdirSync(join(dir, Array(17).fill('d').join('/')), { recursive: true })
  await t.rejects(walk(dir), { message: /lies deeper than 16 directories; make the package flatter$/ })
  rmSync(join(dir, 'd'), { recursive: true })

  mkdirSync(join(dir, 'many'))
  for (let at = 0; at < 1996; at++) writeFileSync(join(dir, 'many', `${at}`), '')
  await t.resolves(walk(dir), '2,000 with the directory and the three files of the package')
  writeFileSync(join(dir, 'many/more'), '')
  await t.rejects(walk(dir), { message: /^the package holds more than 2000 files/ })
})

void t.test('a name that is not UTF-8 cannot hide a file', async (t) => {
  const dir = lamp(t)
  symlinkSync('/etc/passwd', Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff])]))
  await t.rejects(walk(dir), { message: /has a name that is not UTF-8; rename it$/ })
})

void t.test('files that vanish while the package is read do not matter', async (t) => {
  const dir = lamp(t)
  for (let at = 0; at < 500; at++) writeFileSync(join(dir, `${at}`), '')
  const walking = walk(dir)
  for (let at = 0; at < 500; at++) rmSync(join(dir, `${at}`))
  t.match(await walking, /^[0-9a-f]{64}$/)
  await t.rejects(walk(join(dir, 'none')), { code: 'ENOENT' })
})
