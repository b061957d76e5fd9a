import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient, defineInterface, type MessageBus } from 'dbus-native'
import type { Test } from 'tap'

const anyone = '<allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>'

/** A message bus of the test's own: a real dbus-daemon (Debian's package dbus), stopped with the test. */
export class PrivateBus {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-bus-'))
  readonly socket = join(this.directory, 'run', 'bus')
  readonly address = `unix:path=${this.socket}`
  #daemon: ChildProcess | undefined
  readonly #clients: MessageBus[] = []

  constructor(t: Test) {
    mkdirSync(join(this.directory, 'run'))
    mkdirSync(join(this.directory, 'services'))
    t.teardown(async () => {
      await this.#closeClients()
      await this.stop()
      rmSync(this.directory, { recursive: true })
    })
  }

  /** Resolves when it listens. `limits` are elements of the daemon's configuration. */
  async start(limits = ''): Promise<this> {
    const config = join(this.directory, 'bus.conf')
    const services = `<servicedir>${join(this.directory, 'services')}</servicedir>`
    writeFileSync(
      config,
      `<busconfig><listen>${this.address}</listen>${services}<policy context="default">${anyone}</policy>${limits}</busconfig>`,
    )
    this.#daemon = spawn('dbus-daemon', ['--nofork', '--print-address', `--config-file=${config}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await Promise.race([
      once(this.#daemon.stdout as NodeJS.ReadableStream, 'data'),
      once(this.#daemon, 'error').then(([error]) => Promise.reject(error)),
    ])
    return this
  }

  /** By default as a machine's bus ends; `SIGKILL` leaves the socket behind, `SIGSTOP` hangs it until `SIGCONT`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#daemon
    if (!daemon) return
    this.#daemon = undefined
    daemon.kill(signal)
    daemon.kill('SIGCONT')
    await once(daemon, 'exit')
    await this.#closeClients()
  }

  async #closeClients(): Promise<void> {
    for (const client of this.#clients.splice(0)) await client.close()
  }

  pause(): void {
    this.#daemon?.kill('SIGSTOP')
  }

  resume(): void {
    this.#daemon?.kill('SIGCONT')
  }

  /** Another participant, by the library itself; with `plain`, values come to it as to a plugin. */
  async client({ plain = false } = {}): Promise<MessageBus> {
    const shapes = { plainValues: true, variants: 'plain', returnBigInt: true } as const
    const client = createClient({ busAddress: this.address, ...(plain && shapes) })
    client.connection.on('error', () => undefined)
    this.#clients.push(client)
    await client.getId()
    return client
  }

  /** Makes a name startable by calling it: `command` is what the daemon would run. Takes effect at once. */
  async addActivatable(name: string, command = '/bin/false'): Promise<void> {
    writeFileSync(join(this.directory, 'services', `${name}.service`), `[D-BUS Service]\nName=${name}\nExec=${command}\n`)
    const client = await this.client()
    await client.invokeDbus({ member: 'ReloadConfig' })
  }

  /** Connections that the bus has, other than this object's own. */
  async strangers(): Promise<string[]> {
    const client = this.#clients[0] ?? (await this.client())
    const own = this.#clients.map(({ name }) => name)
    return (await client.listNames()).filter((name) => name.startsWith(':') && !own.includes(name))
  }
}

/** A service stand-in: `name` at `/` with the methods of an interface of the same name. */
export async function serve(
  bus: PrivateBus,
  name: string,
  methods: NonNullable<Parameters<typeof defineInterface>[0]['methods']>,
) {
  const client = await bus.client()
  await client.export('/', defineInterface({ name, methods }))
  const { release } = await client.ownName(name)
  return { client, release }
}
