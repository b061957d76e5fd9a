// The lab machine, as tests see it: a Debian under QEMU, driven from outside.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { Agent, Monitor, type Result } from './channels.ts'
import { keptFrozen } from './frozen.ts'

const execute = promisify(execFile)

export interface Machine {
  /**
   * Runs a bash script inside, as root or another user, without a terminal. Daemons that it leaves behind go on.
   * Rejects when it takes longer than `timeoutMs` (default 60 s; it is ended then), and when the machine goes down meanwhile.
   */
  run(script: string, options?: { timeoutMs?: number; user?: string }): Promise<Result>
  /** Ports of 127.0.0.1 here, by the port inside. A connection arrives there from 10.0.2.2, on eth0 (10.0.2.15). */
  readonly ports: ReadonlyMap<number, number>
  /** Copies a file or a directory in, as root's; `to` is what it is called there. Its directory is made. */
  put(from: string, to: string): Promise<void>
  /** A command for QEMU's monitor, as at its prompt; resolves with what it prints. */
  monitor(command: string): Promise<string>
  /** The system journal, of this boot. */
  journal(): Promise<string>
  /** Resolves when the machine has booted once more than this function, or `bootMachine`, has told of before. */
  rebooted(): Promise<void>
  /** Resolves when the machine has switched itself off. Nothing can be asked of it any more. */
  poweredOff(): Promise<void>
  stop(): Promise<void>
}

/** What is used of a test: tap's `t`, of a file or a single test. */
interface Tester {
  teardown(handler: () => Promise<void>): void
  passing(): boolean
}

const bootTimeoutMs = 300_000

/**
 * A machine of the test's own; resolves when its services are up. It ends with the test, and with the process whatever happens.
 * When the test has failed its journal is printed. `hardware` plugs in what guest/hardware.sh lists. With `frozen` it does not boot but
 * goes on, within seconds, from where one was frozen that had just booted.
 */
export async function bootMachine(
  t: Tester,
  { ports = [], hardware = false, frozen = false }: { ports?: number[]; hardware?: boolean; frozen?: boolean } = {},
): Promise<Machine> {
  const flags = flagsOf(hardware)
  const directory = frozen ? await frozenMachine(hardware) : undefined
  const work = await mkdtemp(join(tmpdir(), 'patchbay-lab-'))
  const machine = new Emulated(work, [...flags, ...(directory ? ['--frozen', directory] : []), ...ports.map(String)])
  t.teardown(async () => {
    // Not as a comment of the test's: the reporter shows none.
    if (!t.passing()) process.stderr.write(`${await machine.lastWords()}\n`)
    await machine.stop()
    await rm(work, { recursive: true })
  })
  if (directory) await machine.thaw()
  else await machine.rebooted()
  await machine.findPorts()
  return machine
}

const flagsOf = (hardware: boolean) => (hardware ? ['--hardware'] : [])

/** Where the frozen one is that later ones go on from; makes it if there is none. */
function frozenMachine(hardware: boolean): Promise<string> {
  const flags = flagsOf(hardware)
  return keptFrozen(flags, (disk, memory) => freezeMachine([...flags, '--disk', disk], memory))
}

/** Boots one and leaves its memory in a file. */
async function freezeMachine(flags: string[], memory: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'patchbay-lab-'))
  const machine = new Emulated(work, flags)
  try {
    await machine.rebooted()
    await machine.freeze(memory)
  } finally {
    await machine.stop()
    await rm(work, { recursive: true })
  }
}

class Emulated implements Machine {
  readonly ports = new Map<number, number>()
  readonly #work: string
  readonly #emulator: ChildProcess
  readonly #ended: Promise<unknown>
  readonly #agent: Agent
  readonly #monitor: Monitor
  #console = ''
  #gone = false
  #jobs = 0
  #boots = 0
  #told = 0

  constructor(work: string, flags: readonly string[]) {
    this.#work = work
    const boot = join(import.meta.dirname, 'boot.sh')
    // The kernel ends the emulator with this process, also when that is killed.
    this.#emulator = spawn('setpriv', ['--pdeathsig', 'KILL', boot, '--driven', work, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, LAB_NODE: process.execPath },
    })
    this.#agent = new Agent(this.#emulator.stdio[3] as Duplex)
    this.#monitor = new Monitor(this.#emulator.stdio[4] as Duplex)
    this.#agent.on('up', () => {
      this.#boots++
    })
    for (const stream of [this.#emulator.stdout, this.#emulator.stderr])
      stream?.on('data', (text: Buffer) => {
        this.#console = `${this.#console}${text}`.slice(-20_000)
        if (process.env['PATCHBAY_LAB_CONSOLE']) process.stderr.write(text)
      })
    this.#ended = once(this.#emulator, 'close').then(() => {
      this.#gone = true
      const why = `The lab machine is off. Its console said last:\n${this.#console.slice(-4000)}`
      this.#agent.lost(why)
      this.#monitor.lost(why)
    })
  }

  async run(script: string, { timeoutMs = 60_000, user = 'root' } = {}): Promise<Result> {
    if (this.#gone) throw new Error('The lab machine is off.')
    if (!/^[a-z_][a-z0-9_-]*$/.test(user)) throw new Error(`${user} is no user name.`)
    const id = String(++this.#jobs)
    await writeFile(join(this.#work, 'share/jobs', `${id}.sh`), script)
    const started = Date.now()
    const late = () => `The script took longer than ${timeoutMs} ms in the lab machine:\n${script}`
    let silent: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_resolve, reject) => {
      silent = setTimeout(() => reject(new Error(late())), timeoutMs + 15_000)
    })
    try {
      const result = await Promise.race([this.#agent.run(id, timeoutMs / 1000, user), silence])
      if (Date.now() - started >= timeoutMs && [124, 137].includes(result.code))
        throw new Error(`${late()}\nIt had said:\n${result.output.slice(-4000)}`)
      return result
    } finally {
      clearTimeout(silent)
    }
  }

  async put(from: string, to: string): Promise<void> {
    const id = String(++this.#jobs)
    const there = join(this.#work, 'share/jobs', id)
    const directory = (await stat(from)).isDirectory()
    // As one file: many small ones take long to read through the emulator.
    if (directory) await execute('tar', ['--owner=0', '--group=0', '--mode=go-w', '-C', from, '-cf', there, '.'])
    else await cp(from, there)
    const unpack = directory ? 'mkdir -p "$to"; tar -C "$to" -xf "$from"' : 'mkdir -p "$(dirname "$to")"; cp "$from" "$to"'
    const { code, output } = await this.run(`set -e; from=/host/jobs/${id} to=${quoted(to)}\n${unpack}`, { timeoutMs: 400_000 })
    await rm(there)
    if (code !== 0) throw new Error(`${from} was not copied to ${to}: ${output}`)
  }

  monitor(command: string): Promise<string> {
    return this.#monitor.command(command)
  }

  async journal(): Promise<string> {
    return (await this.run('journalctl --boot --no-pager --output=short-precise')).output
  }

  async rebooted(): Promise<void> {
    const signal = AbortSignal.timeout(bootTimeoutMs)
    while (this.#boots <= this.#told) {
      await Promise.race([once(this.#agent, 'up', { signal }), this.#ended]).catch(() => undefined)
      if (this.#gone || signal.aborted) throw new Error(`The lab machine did not boot:\n${this.#console}`)
    }
    this.#told = this.#boots
    await this.run('systemctl is-system-running --wait', { timeoutMs: bootTimeoutMs })
  }

  /** All but the drive, which the emulator cannot freeze. */
  async freeze(memory: string): Promise<void> {
    // Of timers those that are late would all run at once when it goes on, perhaps days later.
    const { code, output } = await this.run("systemctl stop '*.timer'; sync; umount /opt/node /host")
    if (code !== 0) throw new Error(`The lab machine cannot be frozen: ${output}`)
    await this.monitor('migrate_set_parameter max-bandwidth 100G')
    await this.monitor(`migrate -d "exec:cat >'${memory}'"`)
    for (let said = ''; !said.includes('status: completed'); said = await this.monitor('info migrate')) {
      if (/status: (failed|cancelled)/.test(said)) throw new Error(`The lab machine cannot be frozen: ${said}`)
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }

  /** Resolves when one that was frozen goes on. */
  async thaw(): Promise<void> {
    const signal = AbortSignal.timeout(bootTimeoutMs)
    const up = once(this.#agent, 'up', { signal })
    while (!(await this.monitor('info status')).includes('running')) await new Promise((resolve) => setTimeout(resolve, 200))
    this.#agent.thaw()
    await Promise.race([up, this.#ended])
    this.#told = this.#boots
    const plugged = await this.monitor('device_add nvme,serial=LAB0001,drive=nvme0,bus=bay0')
    if (this.#gone || plugged !== '') throw new Error(`The lab machine does not go on: ${plugged}\n${this.#console}`)
    await this.run('until [ -e /dev/nvme0n1 ]; do sleep 0.2; done; udevadm settle')
  }

  async findPorts(): Promise<void> {
    const forward = /TCP\[HOST_FORWARD\]\s+\S+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)/g
    for (const [, here, inside] of (await this.monitor('info usernet')).matchAll(forward))
      this.ports.set(Number(inside), Number(here))
  }

  async poweredOff(): Promise<void> {
    await this.#ended
  }

  async stop(): Promise<void> {
    this.#emulator.kill('SIGKILL')
    await this.#ended
  }

  /** What helps to understand a failure. */
  async lastWords(): Promise<string> {
    const lines = await this.journal().then(
      (journal) => journal.trimEnd().split('\n').slice(-400),
      (error: Error) => [error.message, this.#console],
    )
    return `the lab machine's journal:\n${lines.join('\n')}`
  }
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
