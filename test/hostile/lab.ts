import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { asksFor } from '../../core/lifecycle/grants.ts'
import type { Contract } from '../../core/plugin/contract.ts'
import { startTestHost, type TestClient, type TestHost } from '../../core/testing/host.ts'
import type { Answer } from '../../core/testing/types.ts'
import { temporary } from '../core/lifecycle/lab.ts'
import { type Heard, memory, until } from '../core/wire/lab.ts'

export { type Heard, until }

const MB = 1024 * 1024
const hostileDir = new URL('./plugin', import.meta.url).pathname

/** Its own deadline for every command: what a neighbour must keep whatever happens beside it. */
const neighbourContract = (id: string): Contract => ({
  id,
  commands: {
    [`${id}:ping`]: {
      payload: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false },
      role: 'viewer',
      timeoutMs: 5000,
      rate: { max: 10_000, windowMs: 1000 },
    },
  },
  events: { [`${id}:tick`]: { payload: { type: 'integer' } } },
})

const neighbourCode = (id: string) => `import { definePlugin } from 'patchbay/plugin'
import contract from './contract.json' with { type: 'json' }
export default definePlugin(contract, {
  start(ctx) {
    ctx.handle('${id}:ping', ({ n }) => ({ n, pid: process.pid }))
    ctx.whileSubscribed((watch) => {
      let count = 0
      const timer = setInterval(() => watch.publish('${id}:tick', ++count), 50)
      return () => clearInterval(timer)
    })
  },
})
`

/** A plugin that harms nobody. */
async function writeNeighbour(dir: string, id: string): Promise<string> {
  const patchbay = { api: 1, contract: './contract.json' }
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'contract.json'), JSON.stringify(neighbourContract(id)))
  await writeFile(join(dir, 'index.js'), neighbourCode(id))
  await writeFile(join(dir, 'package.json'), JSON.stringify({ name: id, version: '1.0.0', type: 'module', patchbay }))
  return dir
}

/** A copy of the hostile plugin whose contract says this besides. */
export async function writeHostile(dir: string, contract: object = {}, manifest: object = {}): Promise<string> {
  await cp(hostileDir, dir, { recursive: true })
  const merge = async (name: string, more: object) => {
    const before = JSON.parse(await readFile(join(hostileDir, name), 'utf8')) as object
    await writeFile(join(dir, name), JSON.stringify({ ...before, ...more }))
  }
  await merge('contract.json', contract)
  await merge('package.json', manifest)
  return dir
}

export interface SiegeOptions {
  /** What the contract of the hostile plugin says besides. */
  readonly contract?: object
  /** What plugins.json says of it besides. */
  readonly entry?: object
  readonly pace?: { readonly startMs?: number; readonly stopMs?: number; readonly silenceMs?: number; readonly retryMs?: number }
}

/** A state of the hostile plugin, as the host's log has it. */
interface Change {
  readonly state: string
  readonly reason?: string
}

/** A host with the hostile plugin and two neighbours, one in the host's process and one in its own, who are asked without a pause. */
export class Siege {
  readonly host: TestHost
  owner = {} as TestClient
  /** Gives the hostile plugin's commands, and listens to nobody. */
  attacker = {} as TestClient
  /** Is subscribed to the hostile plugin. */
  listener = {} as TestClient
  /** What the listener was told on the `error` channel. */
  readonly errors: Heard[] = []
  /** Asks the neighbours, and listens to them. */
  #bystander = {} as TestClient
  readonly #entry: object
  readonly #heard = { near: 0, far: 0, hostile: 0 }
  readonly #bad: string[] = []
  readonly #pids = new Set<number>()
  readonly #changes: Change[] = []
  #linesRead = 0
  readonly #neighbourPids = new Set<unknown>()
  #asked = 0
  #cuts = 0
  #failures = 0
  #isOver = false
  #asking: Promise<unknown> = Promise.resolve()
  #peak = 0
  #before = { used: 0, rss: 0 }

  private constructor(host: TestHost, entry: object) {
    this.host = host
    this.#entry = entry
  }

  static async start(t: Test, { contract = {}, entry = {}, pace }: SiegeOptions = {}): Promise<Siege> {
    const dir = await temporary(t)
    const near = await writeNeighbour(join(dir, 'near'), 'near')
    const far = await writeNeighbour(join(dir, 'far'), 'far')
    const hostile = await writeHostile(join(dir, 'hostile'), contract)
    const host = await startTestHost({
      plugins: [near, far, hostile],
      runIn: 'process',
      pace: { retryMs: 20, keepAfterMs: 600_000, ...pace },
    })
    t.teardown(() => host.stop())
    const siege = new Siege(host, { grants: asksFor(contract as Contract), ...entry })
    await siege.#write({})
    const runs = (name: string, where?: string) =>
      until(
        () => host.status().some(({ id, runIn, state }) => id === name && runIn === (where ?? runIn) && state === 'running'),
        `${name} does not run`,
        30_000,
      )
    await runs('near', 'host')
    for (const id of ['far', 'hostile']) await runs(id)
    await siege.#begin()
    t.teardown(() => siege.#end())
    return siege
  }

  /** The states of the hostile plugin so far. */
  get changes(): readonly Change[] {
    for (const line of this.host.log.slice(this.#linesRead)) {
      this.#linesRead++
      if (!line.includes('"msg":"is ')) continue
      const { plugin, msg, data, state, reason } = JSON.parse(line) as Change & { plugin?: string; msg?: string; data?: unknown }
      if (plugin === 'hostile' && state && data === undefined && msg === `is ${state}`)
        this.#changes.push({ state, ...(reason !== undefined && { reason }) })
    }
    return this.#changes
  }

  /** Ticks of the hostile plugin that the listener has heard. */
  get ticks(): number {
    return this.#heard.hostile
  }

  /** What plugins.json says of the hostile plugin from now on, besides, if that is something else. Resolves when it is acted on. */
  async configure(more: object): Promise<void> {
    const from = this.changes.length
    await this.#write(more)
    await until(() => this.changes.length > from, 'nothing changes')
  }

  async #write(more: object): Promise<void> {
    const { host } = this
    const off = host.status().flatMap(({ id, builtin }) => (builtin && id !== 'host' ? [[id, { enabled: false }]] : []))
    const on = { near: { runIn: 'host' }, far: {}, hostile: { ...this.#entry, ...more } }
    const entries = Object.entries(on).map(([id, said]) => [id, { enabled: true, runIn: 'process', ...said }])
    await host.writeConfig('plugins', { plugins: Object.fromEntries([...off, ...entries]) })
  }

  /** Has the hostile plugin do something. */
  do(what: string, args: object = {}): Promise<Answer> {
    return this.attacker.ask('hostile:do', { what, args })
  }

  /** Process ids of the hostile plugin and of what it calls its parent. */
  async pids(): Promise<{ pid: number; ppid: number }> {
    const { pid, ppid } = (await this.attacker.ask('hostile:ping')) as unknown as { pid: number; ppid: number }
    this.#pids.add(pid)
    return { pid, ppid }
  }

  /** It runs and its events reach the listener. */
  async flows(ms = 60_000): Promise<void> {
    await until(() => this.changes.at(-1)?.state === 'running', `it is ${JSON.stringify(this.changes.at(-1))}`, ms)
    const before = this.ticks
    await until(() => this.ticks > before + 2, 'its events do not reach the listener', ms)
  }

  /**
   * What it does ends its process: a command in flight is answered MODULE_FAILED, the listener hears of it once, it runs again and its
   * events flow without anybody's doing. Nothing of the process is left.
   */
  async breaks(t: Test, what: string, args: object, reason: RegExp): Promise<void> {
    if (this.#failures++ % 4 === 0) await this.forgiven()
    const { pid } = await this.pids()
    const from = this.changes.length
    this.errors.length = 0
    const waiting = this.attacker.socket.timeout(30_000).emitWithAck('hostile:wait') as Promise<Answer>
    const deed = await this.attacker.socket.timeout(30_000).emitWithAck('hostile:do', { what, args })
    if (!deed.success) t.equal(deed.code, 'MODULE_FAILED', `the deed itself: ${JSON.stringify(deed)}`)
    t.match(await waiting, { success: false, code: 'MODULE_FAILED' }, 'the command in flight')
    const isBack = () => this.changes.slice(from).some(({ state }) => state === 'running')
    await until(isBack, 'it does not come back', 60_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.changes.slice(from))}`)
    })
    const [failed, ...after] = this.changes.slice(from)
    t.equal(failed?.state, 'failed')
    t.match(failed?.reason, reason)
    t.same(
      after.map(({ state }) => state),
      ['starting', 'running'],
      JSON.stringify(after),
    )
    await this.flows()
    t.match(this.errors, [{ module: 'hostile', code: 'MODULE_FAILED', message: failed?.reason }], 'one error, with the reason')
    t.equal(this.errors.length, 1, JSON.stringify(this.errors).slice(0, 500))
    const { pid: next } = await this.pids()
    t.not(next, pid)
    t.notOk(isAlive(pid), 'its process is gone')
  }

  /** What it does costs nothing but the answer: it runs on, in the same process. */
  async bears(t: Test, work: () => Promise<unknown>): Promise<void> {
    await this.flows()
    const { pid } = await this.pids()
    const from = this.changes.length
    await work()
    await this.flows()
    t.same(this.changes.slice(from), [], 'its state did not change')
    t.equal((await this.pids()).pid, pid, 'it is the same process')
  }

  /** It runs, and what it did before does not count. */
  async forgiven(): Promise<void> {
    const { state } = await this.owner.ask('host:restart', { id: 'hostile' })
    if (state !== 'running') throw new Error(`it is ${String(state)}: ${JSON.stringify(this.changes.at(-1))}`)
    await this.flows()
  }

  /** The neighbours kept every deadline and heard everything, the host's memory is what it was, nothing is left behind. */
  async withstood(t: Test, { peakMb = 256, leftMb = 24 }: { peakMb?: number; leftMb?: number } = {}): Promise<void> {
    const { near, far } = this.#heard
    await until(() => this.#heard.near > near + 2 && this.#heard.far > far + 2, 'the neighbours fell silent')
    this.#isOver = true
    await this.#asking
    t.same(this.#bad, [], `of ${this.#asked} commands to the neighbours all were answered`)
    t.ok(this.#asked > 20, `${this.#asked} commands`)
    t.equal(this.#neighbourPids.size, 2, 'neither neighbour was started anew')
    t.equal(this.#cuts, 0, 'nobody lost the connection')
    const grown = { used: (await memory()) - this.#before.used, rss: this.#peak - this.#before.rss }
    t.ok(grown.used < leftMb * MB, `${(grown.used / MB).toFixed(1)} MB more are in use`)
    t.ok(grown.rss < peakMb * MB, `${(grown.rss / MB).toFixed(1)} MB more at most, for a while`)
    await this.host.stop()
    for (const pid of [...this.#pids, ...this.#neighbourPids] as number[])
      if (pid !== process.pid) t.notOk(isAlive(pid), `process ${pid} is gone`)
  }

  async #begin(): Promise<void> {
    const { host } = this
    const [listener, bystander] = [await host.client('viewer'), await host.client('viewer')]
    Object.assign(this, { owner: await host.client('owner'), attacker: await host.client('viewer'), listener })
    this.#bystander = bystander
    for (const { socket } of [this.owner, this.attacker, this.listener, bystander]) socket.on('disconnect', () => this.#cuts++)
    listener.socket.on('error', (error: Heard) => this.errors.push(error))
    listener.socket.on('hostile:tick', () => this.#heard.hostile++)
    await listener.ask('module:subscribe', { module: 'hostile' })
    for (const id of ['near', 'far'] as const) {
      bystander.socket.on(`${id}:tick`, () => this.#heard[id]++)
      await bystander.ask('module:subscribe', { module: id })
    }
    await this.flows()
    this.#before = { used: await memory(), rss: process.memoryUsage.rss() }
    this.#asking = Promise.all([this.#ask('near'), this.#ask('far')])
  }

  /** Asks a neighbour, one command after the other; what is not as it should be is noted. */
  async #ask(id: string): Promise<void> {
    const { socket } = this.#bystander
    for (let n = 0; !this.#isOver; n++) {
      const answer = (await socket
        .timeout(10_000)
        .emitWithAck(`${id}:ping`, { n })
        .catch((error: Error) => ({ error: error.message }))) as Heard
      this.#asked++
      if (answer.n !== n) this.#bad.push(`${id}: ${JSON.stringify(answer)}`)
      else this.#neighbourPids.add(answer.pid)
      this.#peak = Math.max(this.#peak, process.memoryUsage.rss())
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async #end(): Promise<void> {
    this.#isOver = true
    for (const { socket } of [this.owner, this.attacker, this.listener, this.#bystander]) socket.off('disconnect')
    await this.#asking
    await this.host.stop()
  }
}

/** Also one that has ended and that nobody has asked about: then something of the host's has gone wrong. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Ids of the processes whose command line has this text in it. */
export async function processesWith(text: string): Promise<number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc'))
    if (Number(name) > 0 && Number(name) !== process.pid) {
      const line = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')
      if (line.includes(text)) found.push(Number(name))
    }
  return found
}
