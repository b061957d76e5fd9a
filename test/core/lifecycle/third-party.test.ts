import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { PluginStatus } from '../../../core/plugin/host-control.ts'
import { startTestHost, type TestClient } from '../../../core/testing/host.ts'
import { temporary } from './lab.ts'

const root = new URL('../../..', import.meta.url).pathname

const contract = (id: string) => ({
  id,
  commands: {
    [`${id}:greet`]: {
      payload: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false },
      role: 'viewer',
    },
  },
  events: { [`${id}:greeted`]: { payload: { type: 'integer' }, retained: true } },
})

const manifest = (id: string, main: string) =>
  JSON.stringify({ name: id, version: '1.0.0', type: 'module', main, patchbay: { api: 1, contract: './contract.json' } })

const javascript = (id: string, greeting: string) => `import { definePlugin } from 'patchbay/plugin'
import { readFileSync } from 'node:fs'
const contract = JSON.parse(readFileSync(new URL('./contract.json', import.meta.url)))
globalThis.imports = (globalThis.imports ?? 0) + 1
export default definePlugin(contract, {
  start(context) {
    let count = 0
    context.publish('${id}:greeted', count)
    context.handle('${id}:greet', ({ name }) => {
      context.publish('${id}:greeted', ++count)
      return { text: \`${greeting}, \${name}\` }
    })
  },
})
`

const typescript = `import { defineContract, definePlugin, Type } from 'patchbay/plugin'

const greeter = defineContract({
  id: 'typed',
  commands: {
    'typed:greet': {
      payload: Type.Object({ name: Type.String() }, { additionalProperties: false }),
      result: Type.Object({ text: Type.String() }),
      role: 'viewer',
    },
  },
  events: { 'typed:greeted': { payload: Type.Integer(), retained: true } },
})

export default definePlugin(greeter, {
  start(context) {
    let count = 0
    context.publish('typed:greeted', count)
    context.handle('typed:greet', ({ name }) => {
      const known: string = name
      context.publish('typed:greeted', ++count)
      return { text: 'Good day, ' + known }
    })
    // @ts-expect-error: a number, says the contract
    if (count > 0) context.publish('typed:greeted', 'often')
  },
})
`

/** Uses a plugin as a client would. */
async function use(t: Test, client: TestClient, id: string, text: string): Promise<void> {
  const snapshot = client.next(`${id}:greeted`)
  await client.ask('module:subscribe', { module: id })
  t.type(await snapshot, 'number')
  t.match(await client.ask(`${id}:greet`, { name: 'Ada' }), { success: true, text })
  t.match(await client.ask(`${id}:greet`, { nom: 'Ada' }), { success: false, code: 'INVALID_PAYLOAD' })
}

void t.test(
  'a plain JavaScript plugin in the host’s process is dropped in, switched on, used, changed and removed',
  async (t) => {
    const outside = await temporary(t)
    const host = await startTestHost({ host: { pluginDirs: [outside] } })
    t.teardown(() => host.stop())
    const [owner, viewer] = [await host.client('owner'), await host.client('viewer')]
    await viewer.ask('module:subscribe', { module: 'host' })
    const file = join(host.configDir, 'plugins.json')
    await writeFile(
      file,
      '{\n  // mine\n  "plugins": { "system": { "enabled": false }, /* off */ "storage": { "enabled": false },\n    "greeter": { "runIn": "host" } }\n}\n',
    )

    const dir = join(outside, 'greeter')
    const appears = viewer.next<PluginStatus[]>('host:plugins', (plugins) => plugins.some(({ id }) => id === 'greeter'))
    await mkdir(dir)
    await writeFile(join(dir, 'contract.json'), JSON.stringify(contract('greeter')))
    await writeFile(join(dir, 'index.js'), javascript('greeter', 'Hello'))
    await writeFile(join(dir, 'package.json'), manifest('greeter', './index.js'))
    t.match(
      (await appears).find(({ id }) => id === 'greeter'),
      { state: 'disabled', builtin: false, version: '1.0.0' },
    )
    t.notOk('imports' in globalThis, 'no code of it has run')
    t.match(await viewer.ask('module:subscribe', { module: 'greeter' }), { success: true, state: 'disabled' })
    await viewer.ask('module:unsubscribe', { module: 'greeter' })
    t.match(await viewer.ask('host:enable', { id: 'greeter' }), { success: false, code: 'FORBIDDEN' })

    t.match(await owner.ask('host:enable', { id: 'greeter' }), { success: true, state: 'running' })
    const text = await readFile(file, 'utf8')
    t.match(text, /^\{\n {2}\/\/ mine\n/)
    t.match(text, /"system".*\/\* off \*\/ "storage".*"greeter"/s)
    await use(t, viewer, 'greeter', 'Hello, Ada')

    const pending = viewer.next<PluginStatus[]>('host:plugins', (plugins) => plugins.some((plugin) => plugin.restartPending))
    await writeFile(join(dir, 'index.js'), javascript('greeter', 'Goodbye'))
    t.match(
      (await pending).find(({ id }) => id === 'greeter'),
      { state: 'running', restartPending: true },
    )
    t.match(await viewer.ask('greeter:greet', { name: 'Ada' }), { text: 'Hello, Ada' }, 'the code that was imported')
    const reason = 'Its code changed; restart Patchbay to load it.'
    t.match(await owner.ask('host:restart', { id: 'greeter' }), { success: true, state: 'failed', reason })
    t.equal(Reflect.get(globalThis, 'imports'), 1)

    const gone = viewer.next<PluginStatus[]>('host:plugins', (plugins) => !plugins.some(({ id }) => id === 'greeter'))
    await rm(dir, { recursive: true })
    await gone
    t.match(await viewer.ask('greeter:greet', { name: 'Ada' }), { code: 'UNKNOWN_COMMAND' })
    t.match(await viewer.ask('module:subscribe', { module: 'greeter' }), { code: 'MODULE_NOT_FOUND' })
    t.ok(viewer.socket.connected)
  },
)

void t.test(
  'a TypeScript plugin that its own tsc compiled is used, and a half-copied one waits for its other half',
  async (t) => {
    const dir = join(await temporary(t), 'typed')
    await mkdir(join(dir, 'node_modules'), { recursive: true })
    await symlink(root, join(dir, 'node_modules', 'patchbay'))
    await writeFile(join(dir, 'index.ts'), typescript)
    await writeFile(join(dir, 'package.json'), manifest('typed', './out/index.js'))
    const compilerOptions = {
      strict: true,
      module: 'nodenext',
      target: 'es2023',
      outDir: 'out',
      rootDir: '.',
      types: [],
      skipLibCheck: true,
    }
    await writeFile(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['index.ts'] }))
    const run = promisify(execFile)
    // Without the hooks that tap gives every child process, which tsc cannot be loaded through.
    const tsc = ['-u', 'NODE_OPTIONS', join(root, 'node_modules/.bin/tsc'), '-p', dir]
    await run('env', tsc).catch((error: Error & { stdout: string }) => t.fail(`${error.message}\n${error.stdout}`))
    const { stdout } = await run(process.execPath, [join(root, 'dist/cli.js'), 'contract', join(dir, 'out/index.js')], {
      env: {},
    })
    await rm(join(dir, 'node_modules'), { recursive: true })

    const host = await startTestHost()
    t.teardown(() => host.stop())
    const target = join(host.pluginDir, 'typed')
    await mkdir(target)
    await cp(join(dir, 'package.json'), join(target, 'package.json'))
    t.match(await host.reached('typed', 'failed'), { reason: /contract\.json is missing; is it still being copied\?/ })
    await cp(join(dir, 'out'), join(target, 'out'), { recursive: true })
    await writeFile(join(target, 'contract.json'), stdout)
    await host.reached('typed', 'disabled')
    const owner = await host.client('owner')
    t.match(await owner.ask('host:enable', { id: 'typed' }), { success: true, state: 'running' })
    await use(t, owner, 'typed', 'Good day, Ada')
  },
)
