import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { nodeArguments, policy } from './confinement.ts'
import { searchPath } from './exec.ts'
import { machineFigures } from './machine-figures.ts'
import type { MachineFigures } from './running.ts'
import { killMarked, mark, roomSuffix } from './sweep.ts'

export interface LaunchRequest {
  /** The plugin's. */
  readonly id: string
  /** Where its package lies, and the file in it to import. */
  readonly dir: string
  readonly entry: string
  /** Changes with the package's files. */
  readonly digest?: string | undefined
  /** All that its contract asks for. Undefined for what comes with Patchbay: it is held back by nothing. */
  readonly grants: readonly string[] | undefined
  /** Directories of Patchbay's own, which no grant opens. */
  readonly closed: readonly string[]
  /** The file that is run, what Node needs for it, programs that run one another before Node, and further variables. */
  readonly child: {
    readonly file: string
    /** Nothing holds it back: from its sources, as some tests run it, it reads more than it may. */
    readonly isFree?: boolean
    readonly execArgv?: readonly string[]
    readonly before?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
  }
  readonly memoryMb: number
  /** Where it keeps its store, if it has one. */
  readonly storeDir?: string
}

/** A process that was started for a plugin. */
export interface Launched {
  readonly channel: Duplex
  /** What it writes to its standard output and error. */
  readonly output: readonly Readable[]
  /** The file to import, where the process sees it. */
  readonly entry: string
  /** Ends it at once, and all that it started. */
  kill(): void
  /** Resolves when it has ended and all it said was read, with a sentence: how it ended. */
  readonly ended: Promise<string>
  /** Undefined where the kernel does not tell, or it has ended. */
  figures(): MachineFigures | undefined
}

/** Rejects with a sentence. */
export type Launch = (request: LaunchRequest) => Promise<Launched>

/** What of the daemon's environment is not its own affair. */
const inherited = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_ENV', 'DBUS_SYSTEM_BUS_ADDRESS', 'XDG_RUNTIME_DIR']
/** Milliseconds for what was said before the end. */
const lastWordsMs = 500
/** The kernel, short of memory, ends plugins before the daemon. */
const oomScore = '500'

/** Starts it as a child of this process, in a group of its own, with the channel at its descriptor 3. */
export const launch: Launch = async (request) => {
  const { entry } = request
  const { before = [], env = {}, isFree = false } = request.child
  const grants = isFree ? undefined : request.grants
  const run = randomUUID()
  const room = grants && (await makeRoom(request, grants, run))
  const node = [process.execPath, ...(room?.args ?? []), ...programArguments(request)]
  const [program = '', ...args] = [...heldByKernel(request), ...before, ...node]
  const child = spawn(program, args, {
    cwd: '/',
    env: { ...Object.fromEntries(inherited.map((name) => [name, process.env[name]])), ...room?.env, ...env, [mark]: run },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  const { pid } = child
  // Unless it has ended already.
  if (pid !== undefined) void writeFile(`/proc/${pid}/oom_score_adj`, oomScore).catch(() => undefined)
  const kill = () => killMarked(run, pid)
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
    entry,
    kill,
    ended: ended.then(async (how) => {
      if (room) await rm(room.place, { recursive: true, force: true })
      return how
    }),
    figures: () => machineFigures(pid),
  }
}

/** What Node.js is told to run. */
export function programArguments({ child: { file, execArgv = [] }, memoryMb }: LaunchRequest): string[] {
  // What is left beside it is for buffers, code and the young.
  const heapMb = Math.max(memoryMb - 64, Math.floor(memoryMb / 2))
  return [...execArgv, `--max-old-space-size=${heapMb}`, file]
}

/** A directory that is the plugin's own while it runs. */
async function makeRoom(request: LaunchRequest, grants: readonly string[], run: string) {
  const { id, dir, child, closed, storeDir } = request
  const place = join(tmpdir(), `patchbay-${id}${roomSuffix(run)}`)
  await mkdir(place, { mode: 0o700 })
  const [scratch, policyFile] = [join(place, 'tmp'), join(place, 'policy.json')]
  await mkdir(scratch)
  if (storeDir) await mkdir(storeDir, { recursive: true, mode: 0o700 })
  await writeFile(policyFile, await policy(dir, child.file))
  const args = await nodeArguments({ dir, grants, program: child.file, scratch, policyFile, connects: false, closed, storeDir })
  return { place, args, env: { HOME: scratch, TMPDIR: scratch } }
}

/** For what cannot be looked at often enough: a gigabyte takes it a third of a second. The threads' stacks and the shared are in it too. */
const roomMb = 256

/** Bytes that Node.js maps writable for machine code before it has any: 512 MB for 24 on x86-64, next to nothing for 20. As in this process. */
function reserved(): number {
  const areas = readFileSync('/proc/self/maps', 'latin1').matchAll(/^([0-9a-f]+)-([0-9a-f]+) rwxp /gm)
  return [...areas].reduce((sum, [, from, to]) => sum + Number(`0x${to}`) - Number(`0x${from}`), 0)
}

/**
 * The kernel ends it when this process dies, whatever it does at that moment, gives it no more memory than it should ever have, and
 * gives a stranger no more rights than it has. Without util-linux it ends when it next looks at its channel.
 */
function heldByKernel({ grants, memoryMb }: LaunchRequest): string[] {
  const [setpriv, prlimit] = ['setpriv', 'prlimit'].map((name) =>
    searchPath()
      .map((directory) => `${directory}/${name}`)
      .find((path) => existsSync(path)),
  )
  if (!setpriv || !prlimit) return []
  const noRights = ['--no-new-privs', '--inh-caps=-all', ...(process.getuid?.() === 0 ? ['--bounding-set=-all'] : [])]
  const memory = `--data=${(memoryMb + roomMb) * 1024 * 1024 + reserved()}`
  return [
    setpriv,
    '--pdeathsig',
    'KILL',
    ...(grants ? noRights : []),
    prlimit,
    memory,
    ...(grants ? ['--core=0', '--nofile=1024'] : []),
  ]
}
