// How the daemon has its plugins run as services. In place of systemd a stand-in on a bus of the test's own starts the processes; the
// real one, with what it keeps them from: test/lab/contain.test.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defineInterface } from 'dbus-native'
import t, { type Test } from 'tap'
import type { Contract } from '../../../core/plugin/contract.ts'
import { PluginUnit } from '../../../core/process/plugin-unit.ts'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'
import { PrivateBus } from '../../support/bus.ts'
import { temporary } from '../lifecycle/lab.ts'

const systemd = 'org.freedesktop.systemd1'
const script = new URL('../../../scripts/service/plugin-start', import.meta.url).pathname

/** Starts what patchbay-plugin@.service would, as the user of the test. */
class StandIn {
  readonly asked: string[] = []
  /** What is started instead. */
  refuse: string | undefined
  broken = false
  #process: ChildProcess | undefined
  #end: { state: string; result: string; status: number } = { state: 'inactive', result: 'success', status: 0 }
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  static async start(t: Test, bus: PrivateBus, directory: string, unit: string): Promise<StandIn> {
    const standIn = new StandIn(directory)
    const client = await bus.client()
    const job = (work: (name: string) => void) => ({
      in: { name: 's', mode: 's' },
      out: { job: 'o' },
      handler: ({ name }: { name: string }) => {
        if (standIn.refuse) throw Object.assign(new Error('Access denied'), { dbusName: standIn.refuse })
        work(name)
        return '/job/1'
      },
    })
    const manager = {
      RestartUnit: job((name) => standIn.#restart(name)),
      StopUnit: job((name) => standIn.#stop(name)),
    }
    await client.export('/org/freedesktop/systemd1', defineInterface({ name: `${systemd}.Manager`, methods: manager }))
    const label = unit.replace(/[^A-Za-z0-9]/g, (char) => `_${char.charCodeAt(0).toString(16)}`)
    const path = `/org/freedesktop/systemd1/unit/${label}`
    const property = (type: string, get: () => unknown) => ({ type, access: 'read' as const, get })
    const state = { ActiveState: property('s', () => (standIn.#process ? 'active' : standIn.#end.state)) }
    await client.export(path, defineInterface({ name: `${systemd}.Unit`, properties: state }))
    const service = {
      Result: property('s', () => standIn.#end.result),
      ExecMainStatus: property('i', () => standIn.#end.status),
      ControlGroup: property('s', () => ''),
    }
    await client.export(path, defineInterface({ name: `${systemd}.Service`, properties: service }))
    await client.ownName(systemd)
    t.teardown(() => standIn.#process?.kill('SIGKILL'))
    return standIn
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  async ended(): Promise<void> {
    if (this.#process) await once(this.#process, 'exit')
  }

  #restart(name: string): void {
    this.asked.push(`restart ${name}`)
    this.#process?.kill('SIGKILL')
    const place = join(this.directory, name.replace(/^.*@|\.service$/g, ''))
    const child = this.broken
      ? spawn('sh', ['-c', 'exit 226'])
      : spawn('/usr/bin/env', ['-u', 'NODE_OPTIONS', 'sh', script, process.execPath, place], { env: {} })
    this.#process = child
    child.once('exit', (code, signal) => {
      this.#process = undefined
      this.#end = signal
        ? { state: 'failed', result: 'signal', status: 9 }
        : { state: code ? 'failed' : 'inactive', result: code ? 'exit-code' : 'success', status: code ?? 0 }
    })
  }

  #stop(name: string): void {
    this.asked.push(`stop ${name}`)
    this.#process?.kill('SIGKILL')
  }
}

const lamp = (capabilities: NonNullable<Contract['capabilities']>): Contract => ({
  id: 'lamp',
  capabilities,
  commands: { 'lamp:pid': {}, 'lamp:read': { payload: { type: 'string' } }, 'lamp:call': {}, 'lamp:count': {} },
})
const body = `import { readFile } from 'node:fs/promises'
import { definePlugin } from 'patchbay/plugin'
const contract = JSON.parse(await readFile(new URL('./contract.json', import.meta.url), 'utf8'))
const migrations = {
  '1': {
    up: (db, sql) => sql\`create table times (id integer primary key)\`.execute(db),
    down: (db, sql) => sql\`drop table times\`.execute(db),
  },
}
export default definePlugin(contract, { start(ctx) {
  let store
  ctx.handle('lamp:pid', () => ({ pid: process.pid, from: import.meta.url }))
  ctx.handle('lamp:read', async (path) => ({ text: await readFile(path, 'utf8') }))
  ctx.handle('lamp:count', async () => {
    const { db, sql } = await (store ??= ctx.store.open(migrations))
    await sql\`insert into times default values\`.execute(db)
    return (await sql\`select count(*) as times from times\`.execute(db)).rows[0]
  })
  ctx.handle('lamp:call', async () => {
    const about = { service: 'org.example.Granted', path: '/', interface: 'org.example.Granted', method: 'Hello' }
    const [said] = await ctx.dbus.call(about)
    return { said, other: await ctx.dbus.call({ ...about, service: 'org.example.Other' }).catch((error) => error.message) }
  })
} })
`

interface Lab {
  readonly host: TestHost
  readonly standIn: StandIn
  readonly confined: string
  readonly bus: PrivateBus
}

async function startLab(
  t: Test,
  capabilities: NonNullable<Contract['capabilities']>,
  unit: string,
  change?: (standIn: StandIn) => void,
): Promise<Lab> {
  const dir = join(await temporary(t), 'lamp')
  const confined = await temporary(t)
  const bus = await new PrivateBus(t).start()
  const standIn = await StandIn.start(t, bus, confined, unit)
  change?.(standIn)
  await mkdir(join(dir, 'node_modules/dependency'), { recursive: true })
  const manifest = {
    name: 'lamp',
    version: '1.0.0',
    type: 'module',
    dependencies: { dependency: '1' },
    patchbay: { api: 1, contract: './contract.json' },
  }
  await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
  await writeFile(join(dir, 'contract.json'), JSON.stringify(lamp(capabilities)), { mode: 0o600 })
  await writeFile(join(dir, 'index.js'), body)
  await writeFile(join(dir, 'node_modules/dependency/tool'), '', { mode: 0o700 })
  await symlink('dependency', join(dir, 'node_modules/link'))
  await mkdir(join(dir, '.git'))
  const host = await startTestHost({
    plugins: [dir],
    runIn: 'process',
    busAddress: bus.address,
    confinedDir: confined,
    pace: { retryMs: 60_000 },
  })
  t.teardown(() => host.stop())
  return { host, standIn, confined, bus }
}

void t.test('a plugin is a service: laid out for it, spoken with, ended with it', async (t) => {
  const { host, standIn, confined } = await startLab(t, {}, 'patchbay-plugin@lamp.service')
  t.match(await host.reached('lamp', 'running'), { containment: { level: 'contained' } })
  t.same(standIn.asked, ['restart patchbay-plugin@lamp.service'])
  const owner = await host.client('owner')
  const { pid, from } = await owner.ask('lamp:pid')
  t.equal(pid, standIn.pid)
  t.match(String(from), `${confined}/lamp/package/index.js`)
  t.match(await owner.ask('lamp:read', '/etc/passwd'), { code: 'INTERNAL' }, 'Node.js holds it back too')

  const modes: Record<string, string> = {}
  for (const path of ['', 'package', 'package/contract.json', 'package/node_modules/dependency/tool', 'arguments', 'policy.json'])
    modes[path] = ((await stat(join(confined, 'lamp', path))).mode & 0o777).toString(8)
  t.same(modes, {
    '': '755',
    package: '755',
    'package/contract.json': '644',
    'package/node_modules/dependency/tool': '755',
    arguments: '644',
    'policy.json': '644',
  })
  t.same((await readdir(join(confined, 'lamp/package'))).sort(), ['contract.json', 'index.js', 'node_modules', 'package.json'])
  t.match(
    await readFile(join(confined, 'lamp/arguments'), 'utf8'),
    /^--[a-z-]*permission\n.*\n--max-old-space-size=192\n.*child\.js\n$/s,
  )

  t.match(await owner.ask('host:disable', { id: 'lamp' }), { state: 'disabled' })
  t.equal(standIn.pid, undefined)
  const { mtimeMs } = await stat(join(confined, 'lamp/package'))
  t.match(await owner.ask('host:enable', { id: 'lamp' }), { state: 'running' })
  t.equal((await stat(join(confined, 'lamp/package'))).mtimeMs, mtimeMs, 'the copy is made anew when the package has changed')
  process.kill(standIn.pid as number, 'SIGKILL')
  t.match(await host.reached('lamp', 'failed'), { reason: 'Its process was ended by SIGKILL.' })
})

void t.test('what it keeps lies where whoever it runs as may write, and the daemon may read', async (t) => {
  const { host } = await startLab(t, { store: true }, 'patchbay-plugin@lamp.service')
  const store = join(host.dataDir, 'store/lamp')
  const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
  await host.reached('lamp', 'running')
  t.same([await mode(store), await mode(join(store, 'store.db'))], ['777', '666'])
  t.equal(await mode(join(store, '..')), '700', 'nobody else gets there')
  const owner = await host.client('owner')
  t.match(await owner.ask('lamp:count'), { success: true, times: 1 })
  t.equal(await mode(join(store, 'store.db-wal')), '666', 'as the database has it')
  await owner.ask('host:disable', { id: 'lamp' })
  await owner.ask('host:enable', { id: 'lamp' })
  t.match(await owner.ask('lamp:count'), { success: true, times: 2 })

  await owner.ask('host:disable', { id: 'lamp' })
  const secret = join(await temporary(t), 'secret')
  await writeFile(secret, '', { mode: 0o600 })
  await rm(join(store, 'store.db-shm'), { force: true })
  await symlink(secret, join(store, 'store.db-shm'))
  t.match(await owner.ask('host:enable', { id: 'lamp' }), { state: 'running' })
  t.equal(await mode(secret), '600', 'a link that it left is not followed')
})

void t.test('on the bus it finds what it was granted', async (t) => {
  const grant = { dbus: ['org.example.Granted', 'org.example.Other'] }
  const { host, bus } = await startLab(t, { ...grant, network: true }, 'patchbay-plugin-net@lamp.service')
  const client = await bus.client()
  const hello = { Hello: { out: { text: 's' }, handler: () => 'hello' } }
  await client.export('/', defineInterface({ name: 'org.example.Granted', methods: hello }))
  await client.ownName('org.example.Granted')
  await host.reached('lamp', 'running')
  t.match(await (await host.client('owner')).ask('lamp:call'), { success: true, said: 'hello', other: /org\.example\.Other/ })
})

void t.test('a service that systemd may not start, or that does not come, is told', async (t) => {
  const denied = await startLab(t, {}, 'patchbay-plugin@lamp.service', (standIn) => {
    standIn.refuse = 'org.freedesktop.DBus.Error.AccessDenied'
  })
  t.match(await denied.host.reached('lamp', 'failed'), {
    reason: /patchbay-plugin@lamp\.service could not be started: .* sudo apt-get install polkitd$/,
  })
  const broken = await startLab(t, {}, 'patchbay-plugin@lamp.service', (standIn) => {
    standIn.broken = true
  })
  t.match(await broken.host.reached('lamp', 'failed'), { reason: 'Its process ended with exit code 226.' })
  t.same(broken.standIn.asked, ['restart patchbay-plugin@lamp.service', 'stop patchbay-plugin@lamp.service'])
})

void t.test('without the program that filters the bus there are no services for it', async (t) => {
  const path = process.env.PATH
  const empty = await temporary(t)
  await chmod(empty, 0o755)
  process.env.PATH = empty
  t.teardown(() => {
    process.env.PATH = path
  })
  const { openBusProxy } = await import('../../../core/process/bus-proxy.ts')
  await t.rejects(openBusProxy('unix:path=/none', join(empty, 'bus'), ['org.example.Granted']), {
    message: /xdg-dbus-proxy does not run \(ENOENT\)\. Mend it with: sudo apt-get install xdg-dbus-proxy$/,
  })
})

void t.test('a service that does not end is told, after it was ended once more', async (t) => {
  const asked: string[] = []
  const call = (request: { method: string }) => {
    asked.push(request.method)
    return Promise.resolve(['deactivating'])
  }
  await t.rejects(new PluginUnit({ call: call as never }, 'patchbay-plugin@lamp.service').ended(), {
    message: 'patchbay-plugin@lamp.service does not end',
  })
  t.equal(asked.filter((method) => method === 'StopUnit').length, 1)
})
