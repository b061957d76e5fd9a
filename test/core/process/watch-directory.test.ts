import { execFile } from 'node:child_process'
import fs, { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { watchDirectory } from '../../../core/process/watch-directory.ts'

/** Collects events of the last of `parts` in a new directory, and lets a test await one. `itself` stands for the directory's own. */
function watching(t: Test, ...parts: string[]) {
  const root = mkdtempSync(join(tmpdir(), 'patchbay-watch-'))
  chmodSync(root, 0o755)
  const directory = join(root, ...parts)
  const events: string[] = []
  let wake = () => {}
  const begin = () => {
    const release = watchDirectory(directory, (entry = 'itself') => {
      events.push(entry)
      wake()
    })
    t.teardown(release)
    return release
  }
  t.teardown(() => rmSync(root, { recursive: true }))
  // an event of the kernel keeps no process alive
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => clearInterval(alive))
  const until = async (event: string) => {
    while (!events.includes(event)) await new Promise<void>((resolve) => (wake = resolve))
    return events.splice(0)
  }
  return { root, directory, events, begin, until }
}

void t.test('tells of entries that come, change and go', async (t) => {
  const { directory, begin, until } = watching(t)
  begin()
  writeFileSync(join(directory, 'a'), '')
  await until('a')
  chmodSync(join(directory, 'a'), 0o700)
  await until('a')
  renameSync(join(directory, 'a'), join(directory, 'b'))
  await until('b')
  rmSync(join(directory, 'b'))
  await until('b')
})

void t.test('a directory that is missing is waited for, however much of its path is missing too', async (t) => {
  const { root, directory, events, begin, until } = watching(t, 'x', 'y', 'z')
  begin()
  mkdirSync(join(root, 'other'))
  mkdirSync(join(root, 'x'))
  await until('itself')
  mkdirSync(directory, { recursive: true })
  await until('itself')
  writeFileSync(join(directory, 'a'), '')
  await until('a')
  t.notOk(events.includes('other'))
})

void t.test('once the directory is there, what happens above it is no concern any more', async (t) => {
  const { root, directory, begin, until } = watching(t, 'x', 'y')
  begin()
  mkdirSync(directory, { recursive: true })
  await until('itself')
  chmodSync(join(root, 'x'), 0o700)
  writeFileSync(join(directory, 'a'), '')
  const before = await until('a')
  t.same(new Set(before), new Set(['a']))
})

void t.test('a directory that appears in the moment before its parent is watched is not overlooked', async (t) => {
  const { directory, begin, until } = watching(t, 'x', 'y')
  const { watch } = fs
  const restore = () => {
    fs.watch = watch
    syncBuiltinESMExports()
  }
  t.teardown(restore)
  fs.watch = ((...args: Parameters<typeof watch>) => {
    mkdirSync(directory, { recursive: true })
    return watch(...args)
  }) as typeof watch
  syncBuiltinESMExports()
  begin()
  restore()
  writeFileSync(join(directory, 'a'), '')
  await until('a')
})

void t.test('a directory that is replaced by another of the same name is followed', async (t) => {
  const { root, directory, begin, until } = watching(t, 'x', 'y')
  mkdirSync(directory, { recursive: true })
  begin()
  for (let round = 0; round < 3; round++) {
    rmSync(directory, { recursive: true })
    mkdirSync(directory)
    await until('itself')
    writeFileSync(join(directory, 'a'), '')
    await until('a')
    renameSync(directory, join(root, `moved-${round}`))
    await until('itself')
    mkdirSync(directory)
    await until('itself')
    writeFileSync(join(directory, 'b'), '')
    await until('b')
  }
})

void t.test('a path that leads through a file is waited for like one that is missing', async (t) => {
  const { root, directory, begin, until } = watching(t, 'x', 'y')
  writeFileSync(join(root, 'x'), '')
  begin()
  rmSync(join(root, 'x'))
  mkdirSync(directory, { recursive: true })
  await until('itself')
  writeFileSync(join(directory, 'a'), '')
  await until('a')
})

void t.test('nothing is told after the release', async (t) => {
  const { directory, events, begin } = watching(t)
  begin()()
  const second = watching(t)
  second.begin()
  writeFileSync(join(directory, 'a'), '')
  writeFileSync(join(second.directory, 'b'), '')
  await second.until('b')
  t.same(events, [])
})

void t.test('a directory that may not be watched raises no events and does no harm', async (t) => {
  const { directory, events, begin } = watching(t)
  const readable = watching(t)
  chmodSync(directory, 0o311)
  // root may read everything
  if (process.getuid?.() === 0) process.seteuid?.(65534)
  try {
    begin()
  } finally {
    if (process.getuid?.() === 0) process.seteuid?.(0)
  }
  readable.begin()
  writeFileSync(join(directory, 'a'), '')
  writeFileSync(join(readable.directory, 'b'), '')
  await readable.until('b')
  t.same(events, [])
})

void t.test('a watch does not keep the process alive', async (t) => {
  const module = JSON.stringify(new URL('../../../core/process/watch-directory.ts', import.meta.url).href)
  const script = `import { watchDirectory } from ${module}
    for (const name of ['/tmp', '/missing']) watchDirectory(name, () => {})`
  const args = ['--import=./scripts/strip-types.mjs', '--input-type=module', '--eval', script]
  await t.resolves(promisify(execFile)(process.execPath, args, { timeout: 30_000 }))
})
