import { execFile } from 'node:child_process'
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { Numbered } from '../driver/entry.ts'
import { Trail } from '../driver/trail.ts'

const MiB = 1024 * 1024
const entry = (text: string) => ({ time: '2026-01-02T03:04:05.678Z', kind: 'test', text })
const texts = (entries: readonly Numbered[]) => entries.map(({ text }) => text)

async function place(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-audit-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'audit')
}

function open(directory: string, options: { maxBytes?: number; files?: number } = {}): Promise<Trail> {
  const fail = (sentence: unknown) => {
    throw new Error(String(sentence))
  }
  return Trail.open({ directory, maxBytes: MiB, files: 5, onTrouble: fail, onMended: fail, ...options })
}

const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

void t.test('lines are whole, numbered and readable by the owner alone; numbers go on after a restart', async (t) => {
  const directory = await place(t)
  const first = await open(directory)
  t.same(
    first.write([entry('a'), entry('b')]).map(({ n }) => n),
    [1, 2],
  )
  await first.close()
  t.same(first.write([entry('late')]), [], 'nothing is written any more')
  t.equal(await mode(directory), '700')
  t.equal(await mode(join(directory, 'audit.log')), '600')
  t.equal(
    await readFile(join(directory, 'audit.log'), 'utf8'),
    '{"n":1,"time":"2026-01-02T03:04:05.678Z","kind":"test","text":"a"}\n{"n":2,"time":"2026-01-02T03:04:05.678Z","kind":"test","text":"b"}\n',
  )
  await chmod(directory, 0o755)
  await chmod(join(directory, 'audit.log'), 0o644)
  const second = await open(directory)
  t.teardown(() => second.close())
  t.same(
    second.write([entry('c')]).map(({ n }) => n),
    [3],
  )
  await second.flush()
  t.same(texts(await second.recent(10)), ['c', 'b', 'a'])
  t.equal(await mode(directory), '700')
  t.equal(await mode(join(directory, 'audit.log')), '600')
})

void t.test('text from outside stays on its line and can be seen, and reads back as it was', async (t) => {
  const directory = await place(t)
  const trail = await open(directory)
  t.teardown(() => trail.close())
  const evil = 'a\n{"n":9,"kind":"login"}\r\x1b[31m\u202e\u2028\u{e0041}\x9b\ud800'
  trail.write([entry(evil)])
  await trail.flush()
  t.match(await readFile(join(directory, 'audit.log'), 'utf8'), /^[\x20-\x7e]+\n$/)
  t.same(texts(await trail.recent(10)), [evil])
})

void t.test('half a line that a power cut left is closed, and does not damage the next', async (t) => {
  const directory = await place(t)
  const first = await open(directory)
  first.write([entry('a')])
  await first.close()
  await appendFile(join(directory, 'audit.log'), '{"n":2,"time":"2026')
  const second = await open(directory)
  t.teardown(() => second.close())
  t.same(
    second.write([entry('b')]).map(({ n }) => n),
    [2],
  )
  await second.flush()
  t.same(texts(await second.recent(10)), ['b', 'a'])
  t.match(await readFile(join(directory, 'audit.log'), 'utf8'), /\n\{"n":2,"time":"2026\n\{"n":2,/)
})

void t.test('a link, another name of it, no file at all or somebody else’s is refused with a sentence', async (t) => {
  const directory = await place(t)
  const file = join(directory, 'audit.log')
  const other = join(directory, 'other')
  await mkdir(directory)
  await writeFile(other, 'theirs\n')

  await symlink(other, file)
  await t.rejects(open(directory), { message: 'audit.log is a link; remove it' })
  await rm(file)
  await link(other, file)
  await t.rejects(open(directory), { message: 'audit.log is a link or no ordinary one; remove it' })
  await rm(file)
  await mkdir(file)
  await t.rejects(open(directory), { code: 'EISDIR' })
  await rm(file, { recursive: true })
  await promisify(execFile)('mkfifo', [file])
  await t.rejects(open(directory), { message: 'audit.log is a link or no ordinary one; remove it' })
  await rm(file)
  await symlink(directory, `${directory}-link`)
  await t.rejects(open(`${directory}-link`), { message: "the audit's directory is a link or no ordinary one; remove it" })

  // Root can give a file away; for anybody else there are directories of root.
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(directory, 1, 1)
  await t.rejects(open(isRoot ? directory : '/usr'), { message: /^the audit's directory belongs to another user/ })
  t.equal(await readFile(other, 'utf8'), 'theirs\n')
})

void t.test('a full file is succeeded by another and the oldest goes; pages reach across them', async (t) => {
  const directory = await place(t)
  const trail = await open(directory, { maxBytes: 2000, files: 3 })
  t.teardown(() => trail.close())
  for (let nth = 1; nth <= 100; nth++) {
    trail.write([entry(String(nth))])
    await trail.flush()
  }
  t.same((await readdir(directory)).sort(), ['audit.log', 'audit.log.1', 'audit.log.2'])
  for (const name of await readdir(directory)) {
    t.ok((await stat(join(directory, name))).size <= 2000)
    t.equal(await mode(join(directory, name)), '600')
  }
  const all = texts(await trail.recent(500))
  t.equal(all[0], '100')
  t.same(
    all,
    Array.from({ length: all.length }, (_, nth) => String(100 - nth)),
    'newest first, none twice, none missing',
  )
  t.ok(all.length > 50 && all.length < 100)
  const page = await trail.recent(7)
  const next = await trail.recent(7, page.at(-1)?.n)
  t.same(texts([...page, ...next]), all.slice(0, 14))
  await rm(join(directory, 'audit.log.1'))
  t.ok((await trail.recent(500)).length < all.length, 'a gap hurts nobody')
})

void t.test('reading goes on past lines that are none, in pieces, however long they are', async (t) => {
  const directory = await place(t)
  const trail = await open(directory, { maxBytes: 10 * MiB })
  t.teardown(() => trail.close())
  trail.write([entry('a'.repeat(60_000)), entry('b')])
  await trail.flush()
  const numbers = ['null', '5', '[]', '{"n":"1"}', '', '{"n":7,"time":1,"kind":"x"}']
  await appendFile(join(directory, 'audit.log'), `${'x'.repeat(3 * MiB)}\n${numbers.join('\n')}\n`)
  trail.write([entry('ü'.repeat(20_000)), entry('d')])
  await trail.flush()
  t.same(texts(await trail.recent(10)), ['d', 'ü'.repeat(20_000), 'b', 'a'.repeat(60_000)])
})

void t.test('a file that was moved away or removed is succeeded by a new one', async (t) => {
  const directory = await place(t)
  const trail = await open(directory)
  t.teardown(() => trail.close())
  trail.write([entry('a')])
  await trail.flush()
  await rename(join(directory, 'audit.log'), join(directory, 'audit.log.1'))
  trail.write([entry('b')])
  await trail.flush()
  t.same(texts(await trail.recent(10)), ['b', 'a'])
  await rm(directory, { recursive: true })
  trail.write([entry('c')])
  await trail.flush()
  t.same(texts(await trail.recent(10)), ['c'])
})

void t.test('with a full disk it says so once, keeps what it can, counts the rest, and goes on when there is room', async (t) => {
  const program = new URL('fixtures/full-disk.ts', import.meta.url).pathname
  const strip = new URL('../../../scripts/strip-types.mjs', import.meta.url).pathname
  const script = 'mount -t tmpfs -o size=4m none /mnt && exec "$@"'
  const args = ['-rm', 'sh', '-c', script, 'sh', process.execPath, `--import=${strip}`, program, '/mnt']
  const { stdout } = await promisify(execFile)('unshare', args)
  const { said, kept, lost, entries } = JSON.parse(stdout) as { said: string[]; kept: number; lost: number; entries: Numbered[] }
  t.same(said, ['the disk is full', `mended, ${lost} lost`])
  t.ok(lost > 0 && kept > 1000, `${kept} kept, ${lost} lost`)
  const [last, before] = entries
  t.match(last, { kind: 'test', text: 'after', n: kept + lost + 2 })
  t.match(before, { kind: 'lost', count: lost, n: kept + lost + 1 })
})
