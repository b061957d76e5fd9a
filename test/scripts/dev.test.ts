// scripts/dev.sh as an author uses it: outside the repository, while files change.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'

const root = new URL('../..', import.meta.url).pathname
const script = (name: string) => join(root, 'scripts', name)
const deadlineMs = 60_000

t.setTimeout(240_000)

/** A new plugin, and a daemon that runs it. */
async function develop(t: Test, ...options: string[]) {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-author-'))
  const plugin = join(dir, 'lamp')
  const env = { HOME: dir, TMPDIR: dir, PATH: `${join(process.execPath, '..')}:${process.env.PATH}`, PATCHBAY_PORT: '0' }
  await promisify(execFile)(script('new-plugin.sh'), [...options, 'lamp', plugin], { env })
  const child = spawn('env', ['-u', 'NODE_OPTIONS', script('dev.sh'), plugin], {
    env,
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (said += String(chunk)))
  t.teardown(async () => {
    if (child.exitCode === null) await ended(child)
    await rm(dir, { recursive: true, force: true })
  })
  /** Waits until it has said all this, in any order, since the last time. */
  const hear = async (...what: RegExp[]): Promise<void> => {
    for (const end = Date.now() + deadlineMs; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const missing = what.find((each) => !each.test(said))
      if (!missing) break
      if (Date.now() > end || child.exitCode !== null) throw new Error(`it did not say ${missing}, but: ${said}`)
    }
    said = ''
  }
  const edit = async (file: string, from: string, to: string) => {
    const source = await readFile(join(plugin, file), 'utf8')
    t.ok(source.includes(from), `${file} has ${from}`)
    await writeFile(join(plugin, file), source.replace(from, to))
  }
  return { child, dir, hear, edit }
}

async function ended(child: ChildProcess): Promise<unknown> {
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  return code
}

const begin = 'start(ctx) {'

void t.test('changed TypeScript is loaded, what does not fit is told, and Ctrl-C leaves nothing behind', async (t) => {
  const { child, dir, hear, edit } = await develop(t)
  await hear(/http:\/\/\S+#\S+/, /lamp: is running/)
  await edit('src/index.ts', begin, `${begin} ctx.log.info({}, 'a first version')`)
  await hear(/lamp: a first version/, /lamp: is running/)

  await edit('src/index.ts', "'a first version')", "'a second version'); const number: number = 'no number'")
  await hear(/lamp: a second version/, /lamp: is running/, /its types do not fit:\n.*src\/index\.ts.*TS2322/)
  await edit('src/index.ts', "'a second version'); const number: number = 'no number'", "'a third version'")
  await hear(/src\/index\.ts:\d+:\d+: ERROR/)
  await edit('src/index.ts', "'a third version'", "'a third version')")
  await hear(/lamp: a third version/, /its types fit/)

  t.equal(await ended(child), 0)
  t.same(
    (await readdir(dir)).filter((name) => name.startsWith('patchbay-')),
    [],
    'its configuration and data are gone',
  )
})

void t.test('changed JavaScript is loaded, and what its contract asks for is granted', async (t) => {
  const { child, hear, edit } = await develop(t, '--js')
  await hear(/lamp: is running/)
  await edit('contract.json', '"capabilities": {', '"capabilities": { "exec": ["true"],')
  await edit('index.js', begin, `${begin} ctx.log.info({}, \`it may run \${Object.keys(ctx.exec)}\`)`)
  await hear(/lamp: it may run run/, /lamp: is running/)
  t.equal(await ended(child), 0)
})

void t.test('what is no plugin, or cannot be built, is refused in a sentence', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-author-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const run = async (...args: string[]) => {
    try {
      await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', script('dev.sh'), ...args], { timeout: deadlineMs })
      return { code: 0, stderr: '' }
    } catch (error) {
      return error as { code: number; stderr: string }
    }
  }
  t.match(await run(), { code: 64, stderr: /usage: / })
  t.match(await run(dir), { code: 1, stderr: /it has no package\.json/ })
  await writeFile(join(dir, 'package.json'), '{ "main": "./dist/index.js" }')
  await writeFile(join(dir, 'tsconfig.json'), '{ "compilerOptions": { "rootDir": "src", "outDir": "dist" }, "files": [] }')
  t.match(await run(dir), { code: 1, stderr: /dev: / })
})
