import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { io, type Socket } from 'socket.io-client'
import type { Options } from '../composition.ts'
import { Config } from '../config/config.ts'
import { Host } from '../host.ts'
import { askDaemon } from '../http/control.ts'
import { asksFor } from '../lifecycle/grants.ts'
import { createLog } from '../log.ts'
import type { Contract } from '../plugin/contract.ts'
import { signedInitData } from './init-data.ts'
import type * as Exported from './types.ts'
import type { Answer, TestHostOptions, TestVisit } from './types.ts'

export type { TestHostOptions } from './types.ts'

/** Inside this repository it is the socket itself. */
export interface TestClient extends Exported.TestClient {
  readonly socket: Socket
}

/** Inside this repository with the host itself. */
export interface TestHost extends Exported.TestHost {
  readonly host: Host
  client(role?: string, id?: number): Promise<TestClient>
  visit(plugin: string, visit?: TestVisit): Promise<Exported.TestVisitor & { readonly socket: Socket }>
}

const here = (path: string) => new URL(path, import.meta.url)
const isBuilt = existsSync(here('./plugins'))
const builtinDir = fileURLToPath(isBuilt ? here('./plugins') : here('../../dist/plugins'))
const deadlineMs = 10_000
/** A test framework's hooks, which it has reach all that runs below it, are not for plugins' processes. */
const withoutHooks = ['/usr/bin/env', '-u', 'NODE_OPTIONS']

/** Starts one. `stop()` it in the test's teardown. */
export async function startTestHost(options: TestHostOptions & Partial<Pick<Options, 'child'>> = {}): Promise<TestHost> {
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
  const { runIn, settings = {}, auth = {}, namespaces = {} } = options
  const entry = (id: string, said: { enabled: boolean; grants?: string[] }): [string, object] => [
    id,
    {
      ...said,
      ...(settings[id] && { settings: settings[id] }),
      ...(auth[id] && { auth: auth[id] }),
      ...(namespaces[id] && { namespace: namespaces[id] }),
      ...(runIn && said.enabled && { runIn }),
    },
  ]
  const entries = builtins.map((id) => entry(id, { enabled: options.builtins?.includes(id) ?? false }))
  for (const source of options.plugins ?? []) {
    await copyPackage(source, join(pluginDir, basename(source)))
    const contract = JSON.parse(await readFile(join(source, 'contract.json'), 'utf8')) as Contract
    entries.push(entry(contract.id, { enabled: true, grants: asksFor(contract) }))
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
    child: { before: withoutHooks, file: fileURLToPath(here(isBuilt ? './child.js' : '../../dist/child.js')), ...options.child },
    loginPage: '<!doctype html><title>test</title><script>0</script><style></style>',
    commandName: 'patchbay',
    development: true,
    ...(options.confinedDir && { confinedDir: options.confinedDir }),
    ...(options.storeUrl && { storeUrl: options.storeUrl }),
    ...(options.redisUrl && { redisUrl: options.redisUrl }),
    ...(options.busAddress && { busAddress: options.busAddress }),
    ...(options.pace && { pace: options.pace }),
  })
  await host.start()
  const sockets = new Set<Socket>()
  let nextUser = 1000
  let visits = 0

  const initData: TestHost['initData'] = (id, fields) => signedInitData(botToken, id, fields)
  const allow = (id: number, role: string) => {
    users[id] = role
    return config.update('access', ['users', String(id)], role)
  }
  const token: TestHost['token'] = async (plugin, roles, { subject = 'alice', lifetimeS = 3600 } = {}) => {
    const { token: made, error } = await askDaemon(dataDir, { command: 'token', plugin, subject, roles, lifetimeS })
    if (typeof made !== 'string') throw new Error(String(error))
    return made
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
    token,
    async visit(plugin, { roles, subject = 'alice', group, auth: said } = {}) {
      const { namespace } = await reached(plugin, 'running')
      const made = roles && (await token(plugin, roles, { subject }))
      const place = [namespace.replace(/^\/$/, ''), ...(group ? [group] : [])].join('/')
      const localAddress = `127.1.${Math.floor(++visits / 250)}.${(visits % 250) + 1}`
      const options = { auth: { ...(made && { token: made }), ...said }, transports: ['websocket'], forceNew: true, localAddress }
      const socket = io(`${host.url}${place || '/'}`, options)
      sockets.add(socket)
      const heard: Array<readonly [string, unknown]> = []
      socket.onAny((event: string, payload: unknown) => heard.push([event, payload]))
      await new Promise((resolve, reject) => socket.once('connect', () => resolve(undefined)).once('connect_error', reject))
      return { ...talk(socket), heard }
    },
    status: () => host.status(),
    subscribers: (id) => host.subscriberCount(id),
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

/**
 * Copies a package as its author would hand it out: without `.git`, and with `node_modules` only if it needs some to run.
 */
export async function copyPackage(source: string, target: string): Promise<void> {
  const { dependencies = {} } = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as { dependencies?: object }
  const left = ['.git', ...(Object.keys(dependencies).length > 0 ? [] : ['node_modules'])]
  await cp(source, target, { recursive: true, filter: (path) => path === source || !left.includes(basename(path)) })
}

/** Waits for `auth:success`. Rejects with what the host refused. */
export async function connected(socket: Socket): Promise<TestClient> {
  const client = talk(socket)
  const { sessionToken } = await new Promise<{ sessionToken: string }>((resolve, reject) => {
    socket.once('auth:success', resolve).once('connect_error', reject)
  })
  return { ...client, sessionToken }
}

function talk(socket: Socket): Omit<TestClient, 'sessionToken'> {
  const next = <T>(event: string, fits: (value: T) => boolean = () => true, withinMs = deadlineMs) =>
    new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${event} within ${withinMs} ms`)), withinMs).unref()
      const listen = (value: T) => {
        if (!fits(value)) return
        clearTimeout(timer)
        socket.off(event, listen)
        resolve(value)
      }
      socket.on(event, listen)
    })
  const ask = (command: string, payload?: unknown) =>
    socket.timeout(deadlineMs).emitWithAck(command, ...(payload === undefined ? [] : [payload])) as Promise<Answer>
  return { socket, ask, next }
}
