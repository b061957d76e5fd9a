import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { sentenceOf } from '../../../core/lifecycle/problem.ts'
import { readPackage } from '../../../core/lifecycle/read-package.ts'
import { contractOf, manifest, writePackage } from './package.ts'

const read = (dir: string) => readPackage(dir, { builtin: false })

/** What is wrong with a package that has these files. */
async function problem(t: Test, files: Record<string, unknown>): Promise<string | undefined> {
  const found = await read(writePackage(join(t.testdir(), 'x'), 'lamp', files))
  t.notOk(found?.entry)
  return found?.problem
}

void t.test('a package is described without running it', async (t) => {
  const dir = writePackage(join(t.testdir(), 'some-folder'), 'lamp', { 'index.js': 'process.exit(1)' })
  const found = await readPackage(dir, { builtin: true })
  t.match(found?.digest, /^[0-9a-f]{64}$/)
  t.same(found, {
    dir,
    builtin: true,
    id: 'lamp',
    version: '1.2.3',
    description: 'A lamp.',
    entry: join(dir, 'index.js'),
    contract: contractOf('lamp'),
    digest: found?.digest,
  })
})

void t.test('an entry that ends in .mjs needs no type, and index.js is the default', async (t) => {
  const { type, ...untyped } = manifest
  const dir = writePackage(join(t.testdir(), 'x'), 'lamp', {
    'package.json': { ...untyped, main: 'lib/a.mjs', patchbay: { ...manifest.patchbay, panel: './panel' } },
  })
  mkdirSync(join(dir, 'lib'))
  renameSync(join(dir, 'index.js'), join(dir, 'lib/a.mjs'))
  t.match(await read(dir), { problem: undefined, entry: join(dir, 'lib/a.mjs'), panel: join(dir, 'panel') })
  const { main, ...mainless } = manifest
  const other = writePackage(join(t.testdir(), 'y'), 'lamp', { 'package.json': mainless })
  t.match(await read(other), { problem: undefined, entry: join(other, 'index.js') })
})

void t.test('a directory that is no plugin is passed over', async (t) => {
  const dir = t.testdir({ empty: {}, other: { 'package.json': '{"name":"x"}' }, list: { 'package.json': '[]' } })
  for (const name of ['empty', 'other', 'list', 'none']) t.equal(await read(join(dir, name)), undefined)
})

void t.test('a package.json that is broken is told, with the line', async (t) => {
  const file = (text: unknown) => problem(t, { 'package.json': text })
  t.match(
    await file('{\n  "name": "x",\n  "patchbay": \n}'),
    /^package\.json, line 4: .*; mend it, or is it still being copied\?$/,
  )
  t.match(await file(''), /^package\.json, line 1: /)
  t.match(await file('{\n"name": "x",\n"name": "y"}'), /^package\.json, line 3: .*name.* twice/)
  t.match(await file('{"__proto__": {}}'), /^package\.json, line 1: .*__proto__/)
  t.match(await file('['.repeat(30_000)), /^package\.json, line 1: /)
  t.match(await file('// comment\n{}'), /^package\.json has comments or a trailing comma/)
  t.match(await file(`"${'x'.repeat(64 * 1024)}"`), /^package\.json is larger than 64 KiB/)
  const found = await read(writePackage(join(t.testdir(), 'folder'), 'lamp', { 'package.json': '{' }))
  t.match(found, { id: 'folder', version: '', problem: /line 1/ })
})

void t.test('a file that is not UTF-8 is refused', async (t) => {
  const dir = writePackage(join(t.testdir(), 'x'))
  writeFileSync(join(dir, 'contract.json'), Buffer.from([0x22, 0xff, 0x22]))
  t.equal((await read(dir))?.problem, './contract.json is not UTF-8 text; save it as such')
})

void t.test('every wrong field of package.json is told', async (t) => {
  const field = (changes: object) => problem(t, { 'package.json': { ...manifest, ...changes } })
  const patchbay = (changes: object) => field({ patchbay: { ...manifest.patchbay, ...changes } })
  t.match(await field({ patchbay: true }), /^package\.json: patchbay must be an object/)
  t.match(await field({ patchbay: {} }), /^package\.json: patchbay must have "api"/)
  t.match(await patchbay({ api: 2 }), /^package\.json: patchbay\/api must be 1, the plugin API that this host knows/)
  t.match(await patchbay({ apis: 2 }), /^package\.json: patchbay\/apis must be left out/)
  t.match(await field({ name: '' }), /^package\.json: name must be a text, not empty/)
  t.match(await field({ version: 1 }), /^package\.json: version must be a text/)
  t.match(await field({ type: 'commonjs' }), /^package\.json: type must be "module"; or name the entry \.mjs/)
  for (const path of [
    '../x.js',
    './../x.js',
    'a/..',
    '/etc/x.js',
    '..\\x.js',
    'a\0b',
    '',
    7,
    './node_modules/x/index.js',
    'x/.git/y',
  ]) {
    t.match(await field({ main: path }), /^package\.json: main must be a relative path to a place inside/, String(path))
    t.match(await patchbay({ contract: path }), /^package\.json: patchbay\/contract must be a relative path/, String(path))
    t.match(await patchbay({ panel: path }), /^package\.json: patchbay\/panel must be a relative path/, String(path))
  }
})

void t.test('a half-copied package is told as that', async (t) => {
  t.equal(await problem(t, { 'index.js': null }), 'its entry file ./index.js is missing; is it still being copied?')
  t.equal(await problem(t, { 'index.js': '' }), 'its entry file ./index.js is empty; is it still being copied?')
  t.equal(await problem(t, { 'contract.json': null }), 'its contract ./contract.json is missing; is it still being copied?')
  t.match(await problem(t, { 'contract.json': '{"id": "la' }), /^\.\/contract\.json, line 1: .* still being copied/)
  t.match(
    await problem(t, { 'package.json': { ...manifest, main: '.' } }),
    /^"main" in package\.json names \., which is not a file/,
  )
})

void t.test('a contract with a problem is told, under the id that it has', async (t) => {
  const bad = { ...contractOf('lamp'), events: { 'lamp:x': { to: 'all' } } }
  const found = await read(writePackage(join(t.testdir(), 'folder'), 'lamp', { 'contract.json': bad }))
  t.match(found, { id: 'lamp', version: '1.2.3', problem: /^\.\/contract\.json: events\/lamp:x\/to must be/ })
  const unnamed = await read(writePackage(join(t.testdir(), 'folder'), 'lamp', { 'contract.json': { id: 'NO' } }))
  t.match(unnamed, { id: 'folder', problem: /^\.\/contract\.json: id must be/ })
  t.match(await problem(t, { 'contract.json': `"${'x'.repeat(256 * 1024)}"` }), /larger than 256 KiB/)
})

void t.test('links, pipes and directories in place of files are refused at once', async (t) => {
  const dir = writePackage(join(t.testdir(), 'x'))
  symlinkSync('x', `${dir}-link`)
  t.match((await read(`${dir}-link`))?.problem, /^the package directory is a symbolic link/)
  for (const name of ['package.json', 'contract.json']) {
    renameSync(join(dir, name), join(dir, 'kept'))
    symlinkSync('kept', join(dir, name))
    t.match((await read(dir))?.problem, `${name} is a symbolic link`)
    rmSync(join(dir, name))
    execFileSync('mkfifo', [join(dir, name)])
    t.match((await read(dir))?.problem, /is not a regular file|is a pipe/)
    rmSync(join(dir, name))
    mkdirSync(join(dir, name))
    t.match((await read(dir))?.problem, `${name} is not a regular file`)
    rmSync(join(dir, name), { recursive: true })
    renameSync(join(dir, 'kept'), join(dir, name))
  }
  t.equal((await read(dir))?.problem, undefined)
})

void t.test('what others may write is refused, and what cannot be read is told', async (t) => {
  const dir = writePackage(join(t.testdir(), 'x'))
  chmodSync(dir, 0o777)
  t.match((await read(dir))?.problem, /^the package directory may be written by everyone/)
  chmodSync(dir, 0o755)
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ ...manifest, main: './index.js/x.js' }))
  t.match((await read(dir))?.problem, 'it cannot be read (lstat: ENOTDIR)')
})

void t.test('only problems and failed system calls are told, a defect of the host goes on', async (t) => {
  t.throws(() => sentenceOf(new TypeError('a defect')), { message: 'a defect' })
})
