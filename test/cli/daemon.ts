import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import type { Test } from 'tap'
import { connected, type TestClient } from '../../core/testing/host.ts'
import { signedInitData } from '../../core/testing/init-data.ts'

const path = (relative: string) => new URL(relative, import.meta.url).pathname
/** The command line as it is shipped; and from the sources, which starts slower, so that coverage sees it. */
export const dist = [path('../../dist/cli.js')]
export const source = [`--import=${path('../../scripts/strip-types.mjs')}`, path('../../scripts/cli/main.ts')]
const coverage = process.env._TAPJS_PROCESSINFO_COVERAGE_ === '1' && path('../../.tap/coverage')
/** For env: tap gives its hooks to all that a test starts, and they take longer to load than a daemon. */
const unhooked = ['-u', 'NODE_OPTIONS']
export const botToken = '123456789:AAHfiqksKZ8WmR2zSjiQ7_v4TMAKdiHm9T0'

/** For plugins.json: without the plugins that look for hardware, of which a machine may have any. */
export const hardwareOff = Object.fromEntries(
  ['system', 'storage', 'audio', 'bluetooth', 'camera', 'wifi'].map((id) => [id, { enabled: false }]),
)

/** A place for one daemon: its configuration, its data and what its environment says. */
export class Place {
  readonly dir: string
  readonly configDir: string
  readonly dataDir: string
  readonly env: Record<string, string>
  readonly #t: Test
  readonly #cli: readonly string[]

  private constructor(t: Test, dir: string, cli: readonly string[]) {
    this.#t = t
    this.#cli = cli
    this.dir = dir
    this.configDir = join(dir, 'config')
    this.dataDir = join(dir, 'data')
    this.env = {
      PATH: process.env.PATH ?? '',
      HOME: dir,
      PATCHBAY_CONFIG_DIR: this.configDir,
      PATCHBAY_DATA_DIR: this.dataDir,
      PATCHBAY_PORT: '0',
      TELEGRAM_BOT_TOKEN: botToken,
      ...(coverage && cli === source && { NODE_V8_COVERAGE: coverage }),
    }
  }

  /** With user 1000 as owner and nothing but the host module on, unless `config` has other files. */
  static async create(t: Test, config: Readonly<Record<string, unknown>> = {}, cli = dist): Promise<Place> {
    const place = new Place(t, await mkdtemp(join(tmpdir(), 'patchbay-daemon-')), cli)
    t.teardown(() => rm(place.dir, { recursive: true, force: true }))
    await mkdir(place.configDir)
    const plugins = { plugins: hardwareOff }
    const files = { access: { users: { '1000': 'owner' } }, plugins, ...config }
    for (const [name, content] of Object.entries(files)) await place.write(name, content)
    return place
  }

  async write(name: string, content: unknown): Promise<void> {
    await writeFile(join(this.configDir, `${name}.json`), typeof content === 'string' ? content : JSON.stringify(content))
  }

  /** Writes a third party's plugin whose code after the import of its contract is `start`. */
  async addPlugin(id: string, contract: object, start: string): Promise<string> {
    const dir = join(this.dataDir, 'plugins', id)
    await mkdir(dir, { recursive: true })
    const manifest = { name: id, version: '1.0.0', type: 'module', patchbay: { api: 1, contract: './contract.json' } }
    const code = `import { definePlugin } from 'patchbay/plugin'\nimport contract from './contract.json' with { type: 'json' }\n`
    await writeFile(join(dir, 'contract.json'), JSON.stringify({ id, ...contract }))
    await writeFile(join(dir, 'index.js'), `${code}export default definePlugin(contract, { start(ctx) {\n${start}\n} })\n`)
    await writeFile(join(dir, 'package.json'), JSON.stringify(manifest))
    return dir
  }

  /** Runs the command line. */
  run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
    const { NODE_OPTIONS: own, ...others } = env
    const command = [...unhooked, ...(own ? [`NODE_OPTIONS=${own}`] : []), process.execPath, ...this.#cli, ...args]
    const program = new Program(spawn('env', command, { env: { ...this.env, ...others } }))
    this.#t.teardown(() => program.kill('SIGKILL'))
    return program
  }

  /** Starts the daemon and waits until it is ready. */
  async start(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Daemon> {
    const program = this.run(['start', ...args], env)
    const line = await program.says(/^.*"msg":"is ready".*$/m)
    return new Daemon(program, (JSON.parse(line) as { url: string }).url, this.#t)
  }
}

/** A program that runs, and everything it says. */
export class Program {
  readonly child: ChildProcess
  readonly exited: Promise<unknown>
  stdout = ''
  stderr = ''
  #listeners = new Set<() => void>()

  constructor(child: ChildProcess) {
    this.child = child
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        this[name] += text
        for (const listener of this.#listeners) listener()
      })
    this.exited = once(child, 'close').then(([code, signal]) => code ?? signal)
  }

  /** Resolves with the first match in its output. */
  async says(pattern: RegExp): Promise<string> {
    const early = this.exited.then((code) => {
      throw new Error(`It ended with ${String(code)} and did not say ${String(pattern)}:\n${this.stdout}${this.stderr}`)
    })
    const said = new Promise<string>((resolve) => {
      const look = () => {
        const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr)
        if (found) resolve(found[0])
      }
      this.#listeners.add(look)
      look()
    })
    return Promise.race([said, early])
  }

  kill(signal: NodeJS.Signals): Promise<unknown> {
    this.child.kill(signal)
    return this.exited
  }
}

export class Daemon {
  readonly program: Program
  readonly url: string
  readonly #t: Test

  constructor(program: Program, url: string, t: Test) {
    this.program = program
    this.url = url
    this.#t = t
  }

  /** A client that logs in with a session token, or else as user 1000. */
  client(sessionToken?: string): Promise<TestClient> {
    const auth = sessionToken ? { sessionToken } : { initData: signedInitData(botToken, 1000) }
    const socket = io(this.url, { auth, transports: ['websocket'], forceNew: true, reconnection: false })
    this.#t.teardown(() => socket.close())
    return connected(socket)
  }
}

interface Row {
  readonly id: string
  readonly state: string
  readonly reason?: string
  readonly since: number
}

/** Resolves with a plugin's row on `host:plugins` as soon as it is in this state. */
export async function reached(client: TestClient, id: string, state: string): Promise<Row> {
  const is = (row: Row) => row.id === id && row.state === state
  const rows = client.next<Row[]>('host:plugins', (plugins) => plugins.some(is))
  await client.ask('module:unsubscribe', { module: 'host' })
  await client.ask('module:subscribe', { module: 'host' })
  return (await rows).find(is) as Row
}
