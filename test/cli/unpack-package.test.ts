import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { Header } from 'tar'
import { unpackPackage } from '../../scripts/cli/plugins/unpack-package.ts'
import { type Entry, tarball } from './packages.ts'

const bounds = { files: 10, bytes: 4 * 1024 ** 2, fileBytes: 1024 ** 2 }
const manifest: Entry = { path: 'package/package.json', text: '{}' }
let count = 0

async function unpacked(dir: string, archive: Buffer): Promise<{ target: string; leftOut: readonly string[]; bytes: number }> {
  const [file, target] = [join(dir, 'it.tgz'), join(dir, `deep/target-${++count}`)]
  await mkdir(join(dir, 'deep'), { recursive: true })
  await writeFile(file, archive)
  return { target, ...(await unpackPackage(file, target, bounds)) }
}

void t.test('what is in a package comes out, with rights and times of ours', async (t) => {
  const dir = t.testdir()
  const entries: Entry[] = [
    { path: 'package/', type: 'Directory', mode: 0o777 },
    { ...manifest, mode: 0o666 },
    { path: 'package/dist/', type: 'Directory', mode: 0o777 },
    { path: 'package/dist/index.js', text: '1', mode: 0o6777 },
    { path: 'package/.npmrc', text: 'script-shell=/bin/evil' },
    { path: 'package/npm-shrinkwrap.json', text: '{}' },
    { path: 'package/.patchbay-installed.json', text: '{}' },
    { path: 'package/dist/.npmrc', text: 'no harm: npm does not look here' },
  ]
  const { target, leftOut, bytes } = await unpacked(dir, await tarball(entries))
  t.same(leftOut, ['.npmrc', 'npm-shrinkwrap.json', '.patchbay-installed.json'])
  t.ok(bytes > 0)
  t.same((await readdir(target, { recursive: true })).sort(), ['dist', 'dist/.npmrc', 'dist/index.js', 'package.json'])
  const modes = async (name: string) => ((await stat(join(target, name))).mode & 0o7777).toString(8)
  t.same([await modes('package.json'), await modes('dist/index.js'), await modes('dist')], ['644', '755', '755'])
  t.equal(await readFile(join(target, 'dist/index.js'), 'utf8'), '1')
  t.not((await stat(join(target, 'package.json'))).mtimeMs, 0, 'a change is noticed by the time')
})

const inside = (path: string, fields: Partial<Entry> = {}): Entry[] => [manifest, { path, ...fields }]
const refused: ReadonlyArray<readonly [string, readonly Entry[], RegExp]> = [
  ['a way out', inside('package/../../evil'), /leads out of it/],
  ['a way out in the middle', inside('package/a/../../evil'), /leads out of it/],
  ['a directory that leads out', inside('package/../../evil/', { type: 'Directory' }), /leads out of it/],
  ['an absolute path', inside('/tmp/evil'), /leads out of it/],
  ['a symbolic link', inside('package/a', { type: 'SymbolicLink', linkpath: '/etc/passwd' }), /"package\/a" is a SymbolicLink/],
  ['a hard link', inside('package/a', { type: 'Link', linkpath: 'package/package.json' }), /is a Link/],
  ['a device', inside('package/a', { type: 'CharacterDevice' }), /is a CharacterDevice/],
  ['a block device', inside('package/a', { type: 'BlockDevice' }), /is a BlockDevice/],
  ['a pipe', inside('package/a', { type: 'FIFO' }), /is a FIFO/],
  ['what lies beside', inside('other/a'), /lies beside/],
  ['what lies at the top', [{ path: 'package.json' }], /lies beside/],
  ['the same name twice', inside('package/package.json'), /is in it twice/],
  ['names that differ in case', inside('package/Package.json'), /is in it twice/],
  ['names that differ in case above', [...inside('package/a/x'), { path: 'package/A/y' }], /differ in spelling only/],
  ['names that differ in Unicode', [...inside('package/\u00e9'), { path: 'package/e\u0301' }], /is in it twice/],
  ['a file that is a directory too', [...inside('package/a'), { path: 'package/a/b' }], /is in it twice/],
  ['a directory that is a file too', [...inside('package/a/b'), { path: 'package/a' }], /is in it twice/],
  ['an empty name', inside('package//a'), /is no name for a file/],
  ['a dot', inside('package/./a'), /is no name for a file/],
  ['a backslash', inside('package/a\\b'), /is no name for a file/],
  ['a control character', inside('package/a\u001b[2J'), /is no name for a file/],
  ['a way too deep', inside(`package/${'a/'.repeat(16)}b`), /lies deeper than 16/],
  ['node_modules of its own', inside('package/node_modules/a/index.js'), /brings node_modules of its own/],
  ['a large file', inside('package/a', { text: 'x'.repeat(1024 ** 2 + 1) }), /larger than 1 MiB/],
  ['too many files', Array.from({ length: 11 }, (_, at) => ({ path: `package/${at}` })), /more than 10 files/],
  ['too much', Array.from({ length: 5 }, (_, at) => ({ path: `package/${at}`, text: 'x'.repeat(1024 ** 2) })), /more than 4 MiB/],
]

for (const [what, entries, sentence] of refused)
  void t.test(`refused: ${what}`, async (t) => {
    const dir = t.testdir()
    await t.rejects(unpacked(dir, await tarball(entries)), sentence)
    t.same((await readdir(dir)).sort(), ['deep', 'it.tgz'], 'nothing lies outside')
    t.same((await readdir(join(dir, 'deep'))).length, 1)
  })

void t.test('refused: what is no archive, damaged, packed twice, or goes on without end', async (t) => {
  const dir = t.testdir()
  const whole = await tarball([manifest, { path: 'package/a', text: 'x'.repeat(9000) }])
  await t.rejects(unpacked(dir, Buffer.from('hello')), /incorrect header check/)
  await t.rejects(unpacked(dir, Buffer.alloc(0)), /refused/)
  await t.rejects(unpacked(dir, gzipSync('hello')), /it is no tar archive/)
  await t.rejects(unpacked(dir, whole.subarray(0, whole.length - 40)), /unexpected end/)
  await t.rejects(unpacked(dir, gzipSync(gunzipSync(whole).subarray(0, 4000))), /refused/)
  await t.rejects(unpacked(dir, gzipSync(whole)), /it is no tar archive/)
  const wrong = Buffer.from(gunzipSync(whole).toString('latin1').replace('package/a', 'package/b'), 'latin1')
  await t.rejects(unpacked(dir, gzipSync(wrong)), /checksum/)

  const zeros = gzipSync(Buffer.alloc(16 * 1024 ** 2))
  await t.rejects(unpacked(dir, Buffer.concat([whole, zeros])), /it goes on after its end|more than 4 MiB/)
  // A file whose header says little, and one that says all.
  for (const size of [100, 1024 ** 3]) {
    const header = Buffer.alloc(512)
    new Header({ path: 'package/bomb', type: 'File', mode: 0o600, size, mtime: new Date() }).encode(header)
    await t.rejects(unpacked(dir, Buffer.concat([gzipSync(header), zeros])), /refused/)
  }
  // A long name, which the parser keeps in memory.
  const header = Buffer.alloc(512)
  new Header({ path: '././@LongLink', type: 'NextFileHasLongPath', size: 1024 ** 3, mtime: new Date() }).encode(header)
  await t.rejects(unpacked(dir, Buffer.concat([gzipSync(header), zeros])), /refused/)
})
