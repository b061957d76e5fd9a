// scripts/new-plugin.sh as a newcomer uses it: outside the repository, without the network.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { startTestHost } from '../../core/testing/index.ts'

const root = new URL('../..', import.meta.url).pathname
const template = join(root, 'scripts/template')

interface Ended {
  readonly code: number
  readonly text: string
}

/** Runs a program without tap's hooks, and with this Node first on PATH. */
async function run(program: string, args: readonly string[], cwd: string): Promise<Ended> {
  const env = { HOME: cwd, PATH: `${join(process.execPath, '..')}:${process.env.PATH}`, npm_config_offline: 'true' }
  try {
    const { stdout, stderr } = await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', program, ...args], { cwd, env })
    return { code: 0, text: stdout + stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, text: stdout + stderr }
  }
}
const newPlugin = (dir: string, ...args: string[]) => run(join(root, 'scripts/new-plugin.sh'), args, dir)

async function temporary(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-new-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** The plugin runs its own tests, and then on a host like any that was dropped in. */
async function isGood(t: Test, dir: string, id: string): Promise<void> {
  const { code, text } = await run('npm', ['test'], dir)
  t.equal(code, 0, text)
  t.match(text, / pass 18\n\S+ fail 0\n/)
  const host = await startTestHost({ plugins: [dir], settings: { [id]: { busyAbove: 1_000_000 } } })
  t.teardown(() => host.stop())
  t.match(await host.reached(id, 'running', 'failed'), { state: 'running', builtin: false, version: '0.1.0' })
  const client = await host.client('operator')
  t.match(await client.ask(`${id}:measure`, { tell: false }), { success: true, isBusy: false })
}

t.setTimeout(300_000)

void t.test('a new plugin in TypeScript builds, passes its tests, is typed and runs', async (t) => {
  const parent = join(await temporary(t), 'a folder')
  const dir = join(parent, 'cpu-load')
  const { code, text } = await newPlugin('/', 'cpu-load', dir)
  t.equal(code, 0, text)
  t.match(text, `cd '${dir}' && npm test\n  npm run host plugins enable cpu-load\n  npm run host start`)
  for (const file of ['package.json', 'README.md', 'src/contract.ts', 'src/index.ts', 'src/index.test.ts'])
    t.notMatch(await readFile(join(dir, file), 'utf8'), /sample/i, `${file} names the new plugin alone`)
  await isGood(t, dir, 'cpu-load')

  const entry = join(dir, 'src/index.ts')
  const source = await readFile(entry, 'utf8')
  for (const [right, wrong, complaint] of [
    ['ctx.settings.busyAbove', 'ctx.settings.busyAbov', /busyAbov/],
    ["'cpu-load:load', load", "'cpu-load:load', 'high'", /'string'|"high"/],
    ["ctx.error('CPU_LOAD_UNREADABLE')", "ctx.error('CPU_LOAD_LOST')", /CPU_LOAD_LOST/],
  ] as const) {
    t.ok(source.includes(right))
    await writeFile(entry, source.replace(right, wrong))
    const built = await run('npm', ['run', 'build'], dir)
    t.not(built.code, 0, `${wrong} compiles`)
    t.match(built.text, complaint)
  }
})

void t.test('a new plugin in JavaScript passes its tests and runs as it is', async (t) => {
  const dir = join(await temporary(t), 'load')
  const { code, text } = await newPlugin('/', '--js', 'load', dir)
  t.equal(code, 0, text)
  await isGood(t, dir, 'load')
})

void t.test('it refuses what would not become a plugin, and writes nothing then', async (t) => {
  const dir = await temporary(t)
  await symlink('nowhere', join(dir, 'link'))
  const refused: ReadonlyArray<[args: string[], code: number, why: RegExp]> = [
    [['Load', 'x'], 1, /NAME is lower-case/],
    [['../x', 'x'], 1, /NAME is lower-case/],
    [['x;touch y', 'x'], 1, /NAME is lower-case/],
    [['ladé', 'x'], 1, /NAME is lower-case/],
    [['a'.repeat(33), 'x'], 1, /NAME is lower-case/],
    [['auth', 'x'], 1, /"auth" is reserved/],
    [['host', 'x'], 1, /"host" is reserved/],
    [['system', 'x'], 1, /"system" comes with Patchbay/],
    [['load', dir], 1, /is there already; nothing was written/],
    [['load', 'link'], 1, /is there already/],
    [['load'], 64, /usage: /],
    [['load', 'x', 'y'], 64, /usage: /],
    [['load', 'x', '--ts'], 64, /there is no option --ts/],
  ]
  for (const [args, code, why] of refused) {
    const ended = await newPlugin(dir, ...args)
    t.equal(ended.code, code, args.join(' '))
    t.match(ended.text, why)
  }
  t.same(await readdir(dir), ['link'])
})

void t.test('both templates declare the same', async (t) => {
  const parent = await temporary(t)
  const dir = join(parent, 'sample')
  await newPlugin('/', 'sample', dir)
  t.equal((await run('npm', ['run', 'build'], dir)).code, 0)
  const read = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'))
  t.same(await read(join(dir, 'contract.json')), await read(join(template, 'javascript/contract.json')))
  t.equal(
    await readFile(join(template, 'typescript/README.md'), 'utf8'),
    await readFile(join(template, 'javascript/README.md'), 'utf8'),
  )
})
