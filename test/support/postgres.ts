import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'

const debian = '/usr/lib/postgresql'

/** Where Debian's package postgresql has its programs: the newest. Throws if there is none. */
function programs(): string {
  const versions = existsSync(debian) ? readdirSync(debian).sort((one, other) => Number(other) - Number(one)) : []
  const [found] = versions.map((version) => join(debian, version, 'bin')).filter((bin) => existsSync(join(bin, 'initdb')))
  if (!found) throw new Error('There is no PostgreSQL here: sudo apt install postgresql')
  return found
}

/** It refuses to run as root: then it runs as the user of Debian's package. */
const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : []
const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** A PostgreSQL of the test's own, in a directory of its own, on loopback; it is gone with the test. */
export class PrivatePostgres {
  readonly #bin = programs()
  readonly #dir = mkdtempSync(join(tmpdir(), 'patchbay-postgres-'))
  #port = 0
  #server: ReturnType<typeof spawn> | undefined

  constructor(t: Test) {
    if (asUser.length > 0) chownSync(this.#dir, id('-u'), id('-g'))
    t.teardown(async () => {
      await this.stop()
      rmSync(this.#dir, { recursive: true, force: true })
    })
  }

  get url(): string {
    return `postgresql://postgres@127.0.0.1:${this.#port}/postgres`
  }

  /** Resolves when it takes connections; a second time it is where it was. */
  async start(): Promise<this> {
    const data = join(this.#dir, 'data')
    const run = (program: string, ...args: string[]) => [...asUser, join(this.#bin, program), ...args]
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' }
    if (!existsSync(data)) {
      this.#port = await freePort()
      const [first = '', ...args] = run('initdb', '-D', data, '-U', 'postgres', '--auth=trust', '--no-sync')
      execFileSync(first, args, { env, cwd: '/', stdio: ['ignore', 'ignore', 'inherit'] })
    }
    const [first = '', ...args] = run('postgres', '-D', data, '-h', '127.0.0.1', '-p', String(this.#port), '-k', this.#dir)
    this.#server = spawn(first, args, { env, cwd: '/', stdio: 'ignore' })
    for (;;) {
      if (this.#server.exitCode !== null) throw new Error(`postgres ended with exit code ${this.#server.exitCode}`)
      const [ready = '', ...more] = run('pg_isready', '-h', '127.0.0.1', '-p', String(this.#port), '-q')
      try {
        execFileSync(ready, more, { env, cwd: '/', stdio: 'ignore' })
        return this
      } catch {
        await delay(50)
      }
    }
  }

  /** At once, as when its machine is switched off. */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server || server.exitCode !== null) return
    this.#server = undefined
    const ended = once(server, 'exit')
    execFileSync(asUser[0] ?? join(this.#bin, 'pg_ctl'), [
      ...(asUser.length > 0 ? [...asUser.slice(1), join(this.#bin, 'pg_ctl')] : []),
      ...['stop', '-D', join(this.#dir, 'data'), '-m', 'immediate', '-s'],
    ])
    await ended
  }
}
