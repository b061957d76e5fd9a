import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Duplex, Readable } from 'node:stream'
import { searchPath } from './exec.ts'
import { killMarked, mark } from './sweep.ts'

export interface LaunchRequest {
  /** The plugin's. */
  readonly id: string
  /** Where its package lies. */
  readonly dir: string
  /** The file that is run, what Node needs for it, programs that run one another before Node, and further variables. */
  readonly child: {
    readonly file: string
    readonly execArgv?: readonly string[]
    readonly before?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  }
  readonly memoryMb: number
}

/** A process that was started for a plugin. */
export interface Launched {
  readonly channel: Duplex
  /** What it writes to its standard output and error. */
  readonly output: readonly Readable[]
  /** Undefined where it cannot be known, or could not be started. */
  readonly pid: number | undefined
  /** Ends it at once, and all that it started. */
  kill(): void
  /** Resolves when it has ended and all it said was read, with a sentence: how it ended. */
  readonly ended: Promise<string>
}

export type Launch = (request: LaunchRequest) => Launched

/** What of the daemon's environment is not its own affair. */
const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_ENV', 'DBUS_SYSTEM_BUS_ADDRESS', 'XDG_RUNTIME_DIR']
/** Milliseconds for what was said before the end. */
const lastWordsMs = 500

/** Starts it as a child of this process, in a group of its own, with the channel at its descriptor 3. */
export const launch: Launch = ({ child: { file, execArgv = [], before = [], env = {} }, memoryMb }) => {
  const run = randomUUID()
  const node = [process.execPath, ...execArgv, `--max-old-space-size=${heapMb(memoryMb)}`, file]
  const [program = '', ...args] = [...heldByKernel(memoryMb), ...before, ...node]
  const child = spawn(program, args, {
    cwd: '/',
    env: { ...Object.fromEntries(inherited.map((name) => [name, process.env[name]])), ...env, [mark]: run },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const kill = () => killMarked(run, child.pid)
  const ended = new Promise<string>((resolve) => {
    let how = ''
    child.once('error', (error) => resolve(`Its process could not be started: ${error.message}`))
    child.once('exit', (code, signal) => {
      how = signal ? `Its process was ended by ${signal}.` : `Its process ended with exit code ${code}.`
      kill()
      setTimeout(resolve, lastWordsMs, how)
    })
    child.once('close', () => resolve(how))
  })
  return {
    channel: child.stdio[3] as unknown as Duplex,
    output: [child.stdout as Readable, child.stderr as Readable],
    pid: child.pid,
    kill,
    ended,
  }
}

/** What is left beside it is for buffers, code and the young. */
function heapMb(memoryMb: number): number {
  return Math.max(memoryMb - 64, Math.floor(memoryMb / 2))
}

/** For what cannot be looked at often enough: a gigabyte takes it a third of a second. The threads' stacks and the shared are in it too. */
const roomMb = 256

/**
 * The kernel ends it when this process dies, whatever it does at that moment, and gives it no more memory than it should ever have.
 * Without util-linux it ends when it next looks at its channel.
 */
function heldByKernel(memoryMb: number): string[] {
  const [setpriv, prlimit] = ['setpriv', 'prlimit'].map((name) =>
    searchPath()
      .map((directory) => `${directory}/${name}`)
      .find((path) => existsSync(path)),
  )
  return setpriv && prlimit ? [setpriv, '--pdeathsig', 'KILL', prlimit, `--data=${(memoryMb + roomMb) * 1024 * 1024}`] : []
}
