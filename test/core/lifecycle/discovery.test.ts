import { chmodSync, cpSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Discovery } from '../../../core/lifecycle/discovery.ts'
import type { Found } from '../../../core/lifecycle/read-package.ts'
import { contractOf, writePackage } from './package.ts'

/** A discovery over `builtin` and `plugins` in a fresh directory; `change` waits for the next one that fits. */
function discover(t: Test, dirs = ['builtin', 'plugins']) {
  const root = t.testdir({ builtin: {}, plugins: {} })
  const problems: string[] = []
  const changes: Found[][] = []
  let wake = () => {}
  const discovery = new Discovery({
    dirs: dirs.map((name) => ({ path: join(root, name), builtin: name === 'builtin' })),
    onChange(found) {
      changes.push(found)
      wake()
    },
    onProblem: (sentence) => problems.push(sentence),
  })
  t.teardown(() => discovery.close())
  const at = (...path: string[]) => join(root, ...path)
  async function change(fits: (found: Found[]) => boolean): Promise<Found[]> {
    for (;;) {
      const found = changes.shift()
      if (found && fits(found)) return found
      if (!found) await new Promise<void>((resolve) => (wake = resolve))
    }
  }
  return { root, at, discovery, problems, changes, change }
}
const brief = (found: Found[]) =>
  found.map(({ dir, id, problem }) => `${dir.split('/').slice(-2).join('/')} ${id}${problem ? '!' : ''}`)
const problemOf = (found: Found[], dir: string) => found.find((one) => one.dir.endsWith(dir))?.problem

void t.test('packages are found in the order of directories and names, other things are passed over', async (t) => {
  const { at, discovery, problems } = discover(t, ['missing', 'plugins', 'builtin'])
  writePackage(at('plugins/b'), 'b')
  writePackage(at('plugins/a'), 'c')
  writePackage(at('builtin/z'), 'host', { 'contract.json': { id: 'host' } })
  writePackage(at('plugins/.hidden'), 'd')
  writePackage(at('plugins/node_modules'), 'e')
  writeFileSync(at('plugins/README.md'), '')
  mkdirSync(at('plugins/empty'))
  symlinkSync('b', at('plugins/link'))
  const found = await discovery.scan()
  t.same(brief(found), ['plugins/a c', 'plugins/b b', 'plugins/link link!', 'builtin/z host'])
  t.same(
    found.map(({ builtin }) => builtin),
    [false, false, false, true],
  )
  t.match(problemOf(found, 'link'), /^the package directory is a symbolic link/)
  t.same(problems, [])
})

void t.test('scans at the same time are one', async (t) => {
  const { discovery } = discover(t)
  const scans = [discovery.scan(), discovery.scan()]
  t.equal(scans[0], scans[1])
  await Promise.all(scans)
  t.not(discovery.scan(), scans[0])
})

void t.test(
  'a plugin directory that others may write, that is a link or no directory is told once and passed over',
  async (t) => {
    const { at, discovery, problems } = discover(t, ['plugins', 'link', 'file'])
    writePackage(at('plugins/a'), 'a')
    chmodSync(at('plugins'), 0o777)
    symlinkSync('plugins', at('link'))
    writeFileSync(at('file'), '')
    t.same(await discovery.scan(), [])
    t.match(problems, [
      /plugins: it may be written by everyone; chmod o-w it/,
      /link: it is a symbolic link/,
      /file: it cannot be read \(opendir: ENOTDIR\)/,
    ])
    await discovery.scan()
    t.equal(problems.length, 3)
    chmodSync(at('plugins'), 0o755)
    t.equal((await discovery.scan()).length, 1)
    chmodSync(at('plugins'), 0o777)
    await discovery.scan()
    t.equal(problems.length, 4, 'told again when it came back')
  },
)

void t.test('of two packages with one id the first wins, and the other is told whose it is', async (t) => {
  const { at, discovery } = discover(t)
  writePackage(at('plugins/a'), 'lamp')
  writePackage(at('plugins/b'), 'lamp')
  const found = await discovery.scan()
  t.same(brief(found), ['plugins/a lamp', 'plugins/b lamp!'])
  t.match(problemOf(found, 'plugins/b'), `the id lamp belongs to ${at('plugins/a').slice(0, 60)}`)
  rmSync(at('plugins/a'), { recursive: true })
  t.same(brief(await discovery.scan()), ['plugins/b lamp'])
})

void t.test('a broken package does not take an id from a whole one', async (t) => {
  const { at, discovery } = discover(t)
  writePackage(at('plugins/a'), 'lamp', { 'index.js': null })
  writePackage(at('plugins/b'), 'lamp')
  const found = await discovery.scan()
  t.same(brief(found), ['plugins/a lamp!', 'plugins/b lamp'])
  t.match(problemOf(found, 'plugins/a'), 'its entry file')
  writePackage(at('plugins/candle'), 'candle', { 'contract.json': null })
  t.same(brief(await discovery.scan()), ['plugins/a lamp!', 'plugins/b lamp', 'plugins/candle candle!'])
  writePackage(at('plugins/d'), 'candle')
  t.same(brief(await discovery.scan()), ['plugins/a lamp!', 'plugins/b lamp', 'plugins/candle candle!', 'plugins/d candle'])
})

void t.test('a newcomer does not displace a plugin that is there, not even while that is being replaced', async (t) => {
  const { at, discovery } = discover(t)
  writePackage(at('plugins/m'), 'lamp')
  await discovery.scan()
  writePackage(at('plugins/a'), 'lamp')
  t.same(brief(await discovery.scan()), ['plugins/a lamp!', 'plugins/m lamp'])
  writeFileSync(at('plugins/m/contract.json'), '{')
  t.same(brief(await discovery.scan()), ['plugins/a lamp!', 'plugins/m lamp!'])
  t.same(brief(await discovery.scan()), ['plugins/a lamp!', 'plugins/m lamp!'])
  writeFileSync(at('plugins/m/contract.json'), JSON.stringify(contractOf('candle')))
  t.same(brief(await discovery.scan()), ['plugins/a lamp', 'plugins/m candle'])
})

void t.test('what comes with Patchbay wins every clash, by where it lies', async (t) => {
  const { at, discovery } = discover(t, ['plugins', 'builtin', 'builtin/../plugins'])
  writePackage(at('plugins/lamp'), 'lamp')
  await discovery.scan()
  writePackage(at('builtin/lamp'), 'lamp', { 'index.js': null })
  const found = await discovery.scan()
  t.same(brief(found), ['plugins/lamp lamp!', 'builtin/lamp lamp!'])
  t.match(problemOf(found, 'plugins/lamp'), 'which comes with Patchbay; remove one of the two or change its id')
})

void t.test('a directory named twice is built in if one says so', async (t) => {
  const { at, discovery } = discover(t, ['builtin', 'x/../builtin'])
  writePackage(at('builtin/lamp'), 'lamp')
  t.match(await discovery.scan(), [{ id: 'lamp', builtin: true, problem: undefined }])
})

void t.test('of 300 packages 256 are read, and those that were known stay', async (t) => {
  const { at, discovery, problems } = discover(t)
  for (let index = 100; index < 356; index++) writePackage(at(`plugins/p${index}`), `p${index}`)
  const before = await discovery.scan()
  t.equal(before.length, 256)
  t.same(problems, [])
  for (let index = 0; index < 44; index++) writePackage(at(`plugins/a${index}`), `a${index}`)
  t.same(brief(await discovery.scan()), brief(before))
  t.match(problems, [/plugins: it holds more than 256 directories; .* remove some/])
})

void t.test('packages that are dropped in, changed, replaced and removed are noticed', async (t) => {
  const { at, discovery, change } = discover(t)
  await discovery.scan()
  await discovery.watch()
  writePackage(at('plugins/a'), 'a')
  const [first] = await change((found) => found.length === 1 && !found[0]?.problem)
  mkdirSync(at('plugins/a/lib/deep'), { recursive: true })
  await change(([found]) => found?.digest !== first?.digest)
  writeFileSync(at('plugins/a/lib/deep/x.js'), '1')
  const [second] = await change(([found]) => found?.digest !== first?.digest)
  writeFileSync(at('plugins/a/lib/deep/x.js'), '22')
  const [third] = await change(([found]) => found?.digest !== second?.digest)

  writePackage(at('next'), 'b')
  renameSync(at('plugins/a'), at('old'))
  renameSync(at('next'), at('plugins/a'))
  const [replaced] = await change(([found]) => found?.id === 'b')
  t.not(replaced?.digest, third?.digest)
  writeFileSync(at('plugins/a/index.js'), 'export default 22')
  await change(([found]) => found?.digest !== replaced?.digest)

  rmSync(at('plugins/a'), { recursive: true })
  t.same(await change((found) => found.length === 0), [])
})

void t.test('a package that arrives in pieces is refused until it is whole', async (t) => {
  const { at, discovery, change } = discover(t)
  await discovery.watch()
  writePackage(at('plugins/a'), 'a', { 'contract.json': null, 'index.js': null })
  t.match(problemOf(await change((found) => found.length === 1), 'a'), /contract \.\/contract\.json is missing; is it still/)
  writeFileSync(at('plugins/a/contract.json'), JSON.stringify(contractOf('a')))
  t.match(problemOf(await change(([found]) => found?.id === 'a'), 'a'), /entry file \.\/index\.js is missing; is it still/)
  writeFileSync(at('plugins/a/index.js'), 'export default {}')
  t.equal(problemOf(await change(([found]) => !found?.problem), 'a'), undefined)
})

void t.test('a plugin directory that appears later, vanishes and comes back is watched', async (t) => {
  const { at, discovery, change } = discover(t, ['later/on/.plugins'])
  await discovery.watch()
  mkdirSync(at('later'))
  mkdirSync(at('later/on/.plugins'), { recursive: true })
  writePackage(at('later/on/.plugins/a'), 'a')
  await change((found) => found.length === 1)
  rmSync(at('later'), { recursive: true })
  await change((found) => found.length === 0)
  cpSync(writePackage(at('a'), 'a'), at('later/on/.plugins/a'), { recursive: true })
  await change((found) => found.length === 1)
  writeFileSync(at('later/on/.plugins/a/index.js'), 'export default 22')
  t.equal((await change((found) => found.length === 1)).length, 1)
})

void t.test('what happened between the first scan and the watching is told', async (t) => {
  const { at, discovery, changes } = discover(t)
  await discovery.scan()
  writePackage(at('plugins/a'), 'a')
  await discovery.watch()
  t.same(changes.map(brief), [['plugins/a a']])
})

void t.test('a package that is written without end does not hold back the others', async (t) => {
  const { at, discovery, change } = discover(t)
  writePackage(at('plugins/a'), 'a')
  await discovery.watch()
  const writer = setInterval(() => writeFileSync(at('plugins/a/log'), 'x'), 20)
  writePackage(at('plugins/b'), 'b')
  const began = performance.now()
  await change((found) => found.length === 2)
  clearInterval(writer)
  t.ok(performance.now() - began < 8000)
})

void t.test('node_modules, dotfiles and neighbours of the plugin directory wake nobody', async (t) => {
  const { at, discovery, changes, change } = discover(t, ['plugins', 'none'])
  writePackage(at('plugins/a'), 'a')
  mkdirSync(at('plugins/a/node_modules'))
  let reads = 0
  const { scan } = discovery
  discovery.scan = () => {
    reads++
    return scan.call(discovery)
  }
  await discovery.watch()
  changes.length = 0
  reads = 0
  writeFileSync(at('plugins/a/node_modules/x.js'), '')
  writeFileSync(at('plugins/a/.swp'), '')
  writeFileSync(at('neighbour'), '')
  await new Promise((resolve) => setTimeout(resolve, 500)) // Nothing tells that nothing happened.
  t.equal(reads, 0)
  writeFileSync(at('plugins/a/y.js'), '')
  await change(() => true)
  t.ok(reads > 0)
})

void t.test('no more than 2,048 directories are watched, and that is told', async (t) => {
  const { at, discovery, problems } = discover(t)
  for (let index = 0; index < 60; index++)
    for (let sub = 0; sub < 40; sub++) mkdirSync(at(`plugins/p${index}/d${sub}`), { recursive: true })
  await discovery.watch()
  t.match(problems, [/^Not every change of a plugin is noticed at once: there are more than 2048 directories/])
})

void t.test('a directory that cannot be watched is told', async (t) => {
  const { at, discovery, problems } = discover(t)
  writePackage(at('plugins/a'), 'a')
  mkdirSync(at('plugins/a/closed'), { mode: 0 })
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(65_534) // To root nothing is closed.
  try {
    await discovery.watch()
  } finally {
    if (isRoot) process.seteuid?.(0)
    chmodSync(at('plugins/a/closed'), 0o755)
  }
  t.match(problems[0], /^Not every change of a plugin is noticed at once: Error: EACCES/)
})

void t.test('after close nothing is told any more, not even by a scan under way', async (t) => {
  const { at, discovery, changes } = discover(t)
  await discovery.watch()
  writePackage(at('plugins/a'), 'a')
  const watching = discovery.watch()
  const closing = new Promise<void>((resolve) => {
    const { scan } = discovery
    discovery.scan = () => {
      resolve(discovery.close())
      return scan.call(discovery)
    }
  })
  await Promise.all([watching, closing])
  writePackage(at('plugins/b'), 'b')
  await new Promise((resolve) => setTimeout(resolve, 400)) // Nothing tells that nothing happened.
  t.same(changes, [])
})
