import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { io, type Socket } from 'socket.io-client'
import { Config } from '../config/config.ts'
import { Host } from '../host.ts'
import { createLog } from '../log.ts'
import type { PluginStatus } from '../plugin/host-control.ts'
import { signedInitData } from './init-data.ts'

export interface TestHostOptions {
  /** Directories of plugin packages under test; each is copied, switched on and runs as a third party's. */
  readonly plugins?: readonly string[]
  /** Ids of plugins that come with Patchbay to switch on. `host` always is. */
  readonly builtins?: readonly string[]
  /** `settings` in plugins.json, by plugin id. */
  readonly settings?: Readonly<Record<string, object>>
  /** Content of host.json; the port is a free one. */
  readonly host?: object
  /** Deadlines of plugins and the first pause before one that failed is tried again, in milliseconds, where the usual are too long. */
  readonly pace?: { readonly startMs?: number; readonly stopMs?: number; readonly quitMs?: number; readonly retryMs?: number }
  /** Another system bus than the machine's, such as `unix:path=/tmp/bus`. */
  readonly busAddress?: string
  /** Roles in access.json beside the built-in ones. */
  readonly roles?: Readonly<Record<string, readonly string[]>>
}

export interface Answer {
  readonly success: boolean
  readonly code?: string
  readonly error?: string
  readonly [field: string]: unknown
}

/** A client that is logged in. */
export interface TestClient {
  readonly socket: Socket
  readonly sessionToken: string
  /** Sends a command and resolves with its ack. */
  ask(command: string, payload?: unknown): Promise<Answer>
  /** Resolves with the next value of an event, or of one that fits. */
  next<T = unknown>(event: string, fits?: (value: T) => boolean): Promise<T>
}

/** A real host on a free port of 127.0.0.1, with configuration and data in a directory of its own. */
export interface TestHost {
  readonly url: string
  readonly host: Host
  readonly configDir: string
  readonly dataDir: string
  /** Where a plugin package can be dropped in. */
  readonly pluginDir: string
  readonly botToken: string
  /** What the host has logged, as JSON lines. */
  readonly log: readonly string[]
  /** Connects a user who has this role, with init data that is really signed. Each call is another user unless `id` says who. */
  client(role?: string, id?: number): Promise<TestClient>
  /** Init data as Telegram would sign it for the test's bot. */
  initData(id: number, fields?: Readonly<Record<string, string>>): string
  /** Puts a user on the access list without connecting. */
  allow(id: number, role: string): Promise<void>
  writeConfig(file: 'plugins' | 'access' | 'host', content: object): Promise<void>
  /** Resolves with a plugin's status as soon as it is in one of these states. */
  reached(id: string, ...states: Array<PluginStatus['state']>): Promise<PluginStatus>
  stop(): Promise<void>
}

const here = (path: string) => new URL(path, import.meta.url)
const isBuilt = existsSync(here('./plugins'))
const builtinDir = fileURLToPath(isBuilt ? here('./plugins') : here('../../dist/plugins'))
const deadlineMs = 10_000

/** Starts one. `stop()` it in the test's teardown. */
export async function startTestHost(options: TestHostOptions = {}): Promise<TestHost> {
  const dir = await mkdtemp(join(tmpdir(), 'patchbay-'))
  const [configDir, dataDir] = [join(dir, 'config'), join(dir, 'data')]
  const pluginDir = join(dataDir, 'plugins')
  await mkdir(configDir)
  await mkdir(pluginDir, { recursive: true })
  const users: Record<string, string> = {}
  const writeConfig = (file: string, content: object) =>
    writeFile(join(configDir, `${file}.json`), JSON.stringify(content), { mode: 0o600 })

  // The module of the host cannot be switched off.
  const builtins = (await readdir(builtinDir)).filter((id) => id !== 'host')
  const entries = builtins.map((id): [string, object] => [
    id,
    { enabled: options.builtins?.includes(id) ?? false, ...(options.settings?.[id] && { settings: options.settings[id] }) },
  ])
  for (const source of options.plugins ?? []) {
    await cp(source, join(pluginDir, basename(source)), { recursive: true })
    const { id } = JSON.parse(await readFile(join(source, 'contract.json'), 'utf8')) as { id: string }
    entries.push([id, { enabled: true, ...(options.settings?.[id] && { settings: options.settings[id] }) }])
  }
  await writeConfig('plugins', { plugins: Object.fromEntries(entries) })
  await writeConfig('access', { users, roles: options.roles ?? {} })
  await writeConfig('host', { port: 0, ...options.host })

  const log: string[] = []
  const output = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk))
      done()
    },
  })
  const botToken = `${Math.floor(1e8 + Math.random() * 9e8)}:${randomBytes(24).toString('base64url')}`
  const config = await Config.open({ configDir, env: {} })
  const host = new Host({
    config,
    dataDir,
    botToken,
    log: createLog('debug', output),
    builtinDir,
    apiUrl: (isBuilt ? here('./plugin.js') : here('../plugin/index.ts')).href,
    loginPage: '<!doctype html><title>test</title><script>0</script><style></style>',
    commandName: 'patchbay',
    development: true,
    ...(options.busAddress && { busAddress: options.busAddress }),
    ...(options.pace && { pace: options.pace }),
  })
  await host.start()
  const sockets = new Set<Socket>()
  let nextUser = 1000

  const initData: TestHost['initData'] = (id, fields) => signedInitData(botToken, id, fields)
  const allow = (id: number, role: string) => {
    users[id] = role
    return config.update('access', ['users', String(id)], role)
  }
  const reached: TestHost['reached'] = async (id, ...states) => {
    const end = Date.now() + deadlineMs
    for (;;) {
      const status = host.status().find((plugin) => plugin.id === id && states.includes(plugin.state))
      if (status) return status
      if (Date.now() > end) throw new Error(`${id} did not become ${states.join(' or ')}: ${JSON.stringify(host.status())}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  return {
    url: host.url,
    host,
    configDir,
    dataDir,
    pluginDir,
    botToken,
    log,
    initData,
    allow,
    reached,
    writeConfig,
    async client(role = 'owner', id = nextUser++) {
      await allow(id, role)
      const socket = io(host.url, { auth: { initData: initData(id) }, transports: ['websocket'], forceNew: true })
      sockets.add(socket)
      return connected(socket)
    },
    async stop() {
      for (const socket of sockets) socket.close()
      await host.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Waits for `auth:success`. Rejects with what the host refused. */
export async function connected(socket: Socket): Promise<TestClient> {
  const next = <T>(event: string, fits: (value: T) => boolean = () => true) =>
    new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${event} within ${deadlineMs} ms`)), deadlineMs).unref()
      const listen = (value: T) => {
        if (!fits(value)) return
        clearTimeout(timer)
        socket.off(event, listen)
        resolve(value)
      }
      socket.on(event, listen)
    })
  const { sessionToken } = await new Promise<{ sessionToken: string }>((resolve, reject) => {
    socket.once('auth:success', resolve).once('connect_error', reject)
  })
  const ask = (command: string, payload?: unknown) =>
    socket.timeout(deadlineMs).emitWithAck(command, ...(payload === undefined ? [] : [payload])) as Promise<Answer>
  return { socket, sessionToken, ask, next }
}
