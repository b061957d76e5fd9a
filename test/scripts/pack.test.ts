// The packed tarball in an empty folder, as somebody gets it from npm.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Of npm's settings only the registry. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry$)/i.test(name)))
/** Before a program: tap's hooks, which are handed on in NODE_OPTIONS to whatever is started here, are not for it. */
const bare = ['-u', 'NODE_OPTIONS']
const run = (program: string, args: string[], cwd: string) =>
  promisify(execFile)('env', [...bare, program, ...args], { cwd, env })

/** Size in bytes and number of the files below a directory. */
async function weigh(directory: string): Promise<{ bytes: number; files: number }> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size))
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), files: files.length }
}

/** The first line of a program's output that matches. Rejects if the program ends without one. */
async function line(child: ChildProcess, pattern: RegExp): Promise<string> {
  const said: string[] = []
  child.stderr?.on('data', (chunk: Buffer) => said.push(String(chunk)))
  if (child.stdout) {
    for await (const text of createInterface(child.stdout)) {
      const found = pattern.exec(text)?.[1]
      if (found) return found
      said.push(text)
    }
  }
  throw new Error(`It ended and said:\n${said.join('\n')}`)
}

t.setTimeout(300_000) // npm's registry may be slow

void t.test('the packed tarball', async (t) => {
  // Outside the repository: nothing of its node_modules is in reach.
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-pack-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const home = join(dir, 'home')
  await mkdir(home)
  await writeFile(join(home, 'package.json'), '{ "private": true, "type": "module" }')
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', dir], root)
  const [{ filename, size }] = JSON.parse(stdout) as [{ filename: string; size: number }]
  await run('npm', ['install', join(dir, filename)], home)

  await t.test(
    'installs with TypeBox, types of Kysely and the machine code for this machine as its only dependencies',
    async (t) => {
      const installed = (await readdir(join(home, 'node_modules'))).filter((name) => !name.startsWith('.'))
      t.same(installed.sort(), ['@libsql', '@node-datachannel', 'kysely', 'patchbay', 'typebox'])
    },
  )

  await t.test('stays small', async (t) => {
    const own = await weigh(join(home, 'node_modules/patchbay'))
    const all = await weigh(join(home, 'node_modules'))
    const MB = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
    t.comment(
      `tarball ${MB(size)}, patchbay ${MB(own.bytes)} in ${own.files} files, installed ${MB(all.bytes)} in ${all.files} files`,
    )
    t.ok(size < 2.5e6, `the tarball has ${MB(size)}; 2.5 MB are allowed`)
    t.ok(own.bytes < 9e6, `patchbay has ${MB(own.bytes)}; 9 MB are allowed`)
    t.ok(own.files < 340, `patchbay has ${own.files} files; 340 are allowed`)
  })

  await t.test('brings the licences of what is bundled, and nothing of the sources or their settings', async (t) => {
    const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'config', 'dist', 'package.json']
    t.same(
      (await readdir(join(home, 'node_modules/patchbay'))).filter((name) => !expected.includes(name)),
      [],
    )
    await access(join(home, 'node_modules/patchbay/dist/THIRD-PARTY-LICENSES'))
    t.same((await readdir(join(home, 'node_modules/patchbay/config'))).sort(), ['examples', 'schemas'])
  })

  await t.test('can be written only by its owner, whom the daemon trusts with plugins', async (t) => {
    const dist = join(home, 'node_modules/patchbay/dist')
    for (const path of await readdir(dist, { recursive: true })) {
      if (((await stat(join(dist, path))).mode & 0o022) !== 0) t.fail(`${path} can be written by others`)
    }
    await access(join(home, 'node_modules/.bin/patchbay'), constants.X_OK)
  })

  await t.test('starts with npx, answers and stops on a signal', async (t) => {
    await mkdir(join(dir, 'config'))
    const child = spawn('env', [...bare, 'npx', 'patchbay', 'start'], {
      cwd: home,
      env: {
        ...env,
        PATCHBAY_CONFIG_DIR: join(dir, 'config'),
        PATCHBAY_DATA_DIR: join(dir, 'data'),
        PATCHBAY_PORT: '0',
        PATCHBAY_LOG_LEVEL: 'info',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const { pid } = child
    if (pid === undefined) throw new Error('npx did not start')
    const closed = once(child, 'close')
    t.teardown(() => child.exitCode ?? child.signalCode ?? process.kill(-pid, 'SIGKILL'))
    const url = await line(child, /"url":"(http:[^"]+)"/)
    const answer = await fetch(new URL('/healthz', url))
    t.equal(answer.status, 200)
    process.kill(-pid, 'SIGTERM')
    await closed
    await t.rejects(fetch(new URL('/healthz', url)), 'nobody listens any more')
  })

  await t.test('types a plugin of somebody who checks library types too', async (t) => {
    // Of what Patchbay is made from he has no types: those of Node.js are all.
    await mkdir(join(home, 'node_modules/@types'))
    await symlink(join(root, 'node_modules/@types/node'), join(home, 'node_modules/@types/node'))
    const lib = ['es2023', 'esnext.disposable']
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      lib,
      types: ['node'],
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: false,
    }
    await writeFile(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['lamp.ts'] }))
    const source = `
      import { test } from 'node:test'
      import { defineContract, definePlugin, Type } from 'patchbay/plugin'
      import { conformance, createTestContext, fakeDBus, startTestHost } from 'patchbay/testing'
      const state = Type.Object({ on: Type.Boolean() })
      const lamp = defineContract({
        id: 'lamp',
        commands: { 'lamp:set': { payload: state } },
        events: { 'lamp:state': { payload: state, retained: true } },
      })
      const plugin = definePlugin(lamp, {
        start(context) {
          context.handle('lamp:set', ({ on }) => context.publish('lamp:state', { on }))
          context.handle('lamp:set', ({ on }) => context.publish('lamp:state', { on: WRONG }))
        },
      })
      test('conformance', (t) => conformance(t, { dir: '.' }))
      test('alone', async () => {
        const lab = await createTestContext(lamp, { dbus: fakeDBus({}) })
        await lab.start(plugin)
        const { success } = await lab.call('lamp:set', { on: true })
        return success satisfies boolean ? lab.stop() : undefined
      })
      test('on a host', async () => {
        const host = await startTestHost({ plugins: ['.'] })
        const { socket, next } = await host.client('operator')
        socket.on('lamp:state', ({ on }: { on: boolean }) => on)
        await next<{ on: boolean }>('lamp:state', ({ on }) => on)
      })`
    const tsc = join(root, 'node_modules/.bin/tsc')
    await writeFile(join(home, 'lamp.ts'), source.replace('WRONG', 'on'))
    await run(tsc, ['-p', '.'], home).catch((error: { stdout: string; stderr: string }) =>
      t.fail(`tsc is not content: ${error.stdout}${error.stderr}`),
    )
    await writeFile(join(home, 'lamp.ts'), source.replace('WRONG', "'yes'"))
    await run(tsc, ['-p', '.'], home).then(
      () => t.fail('a payload of another type compiles'),
      ({ stdout }: { stdout: string }) => t.match(stdout, /lamp\.ts\(14,.*Type 'string' is not assignable to type 'boolean'/),
    )
  })

  await t.test('lets a newcomer write the plugin of plugins/README.md by hand, which passes its own tests', async (t) => {
    const page = await readFile(join(root, 'plugins/README.md'), 'utf8')
    const files = [...page.matchAll(/^`([\w./]+)`[^\n]*\n\n```\w+\n(.*?)^```/gms)]
    t.same(
      files.map(([, file]) => file),
      ['package.json', 'tsconfig.json', 'src/contract.ts', 'src/index.ts', 'src/index.test.ts', 'README.md'],
    )
    const clock = join(dir, 'my-plugins/clock')
    for (const [, file = '', text = ''] of files) {
      await mkdir(dirname(join(clock, file)), { recursive: true })
      await writeFile(join(clock, file), text)
    }
    await run('npm', ['install', '--save-dev', join(dir, filename), 'typescript', '@types/node'], clock)
    const { stdout: said } = await run('npm', ['test'], clock).catch((error: { stdout: string; stderr: string }) => ({
      stdout: error.stdout + error.stderr,
    }))
    t.match(said, / pass 16\n\S+ fail 0\n/, said)
    await run('npm', ['run', 'host', 'config', 'set', 'plugins.clock.enabled', 'true'], clock)
    const { stdout: rows } = await run('npm', ['run', '--silent', 'host', 'plugins'], clock)
    t.match(rows, /^clock +not running +0\.1\.0 +What time it is on this machine\./m, 'its row, while no daemon runs')
  })
})
