import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { createExec } from '../../../../core/process/exec.ts'
import { createLens } from '../../driver/lens.ts'
import type { AccessUnit, Exec, Lens, LensSettings, Problem, Watcher } from '../../driver/types.ts'

const execute = promisify(execFile)
const programs = ['ffmpeg', 'ffprobe', 'mkfifo', 'rpicam-hello', 'rpicam-vid', 'libcamera-hello', 'libcamera-vid']
/** The programs of this machine. */
export const exec: Exec = createExec(programs)

const nothing: LensSettings = { camera: '', network: [], simulated: false, encoder: 'auto' }
/** On a machine that runs other tests beside this one. */
const patienceMs = 30_000

/** With the cameras of the settings and none of this machine. */
export function openLens(
  t: { teardown(end: () => Promise<void>): void },
  settings: Partial<LensSettings>,
  programs = exec,
): Lens {
  const lens = createLens(programs, { ...nothing, ...settings })
  t.teardown(() => lens.close())
  return lens
}

/** One who watches and remembers. */
export class Eye implements Watcher {
  readonly units: AccessUnit[] = []
  readonly problems: Problem[] = []
  resumes = 0
  /** How many there were then. */
  resumedAt = 0
  readonly #ear = new EventEmitter()

  unit(unit: AccessUnit) {
    this.units.push(unit)
    this.#ear.emit('seen')
  }
  interrupted(problem: Problem) {
    this.problems.push(problem)
    this.#ear.emit('seen')
  }
  resumed() {
    this.resumes += 1
    this.resumedAt = this.units.length
    this.#ear.emit('seen')
  }
  async until(isSo: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(patienceMs)
    while (!isSo()) await once(this.#ear, 'seen', { signal })
  }
  /** Resolves when so many more have come. */
  async more(count: number): Promise<void> {
    const before = this.units.length
    await this.until(() => this.units.length >= before + count)
  }
}

export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + patienceMs; !(await isSo()); ) {
    if (Date.now() > end) throw new Error('It did not come about.')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What the pixels of H.264 say: of each picture the number and the time in the strip of the simulated camera, and the height. */
export async function readStrip(units: readonly AccessUnit[]): Promise<{ number: number; time: number }[]> {
  const decoder = execute('ffmpeg', [...quiet, '-f', 'h264', '-i', 'pipe:0', ...strip, 'pipe:1'], {
    encoding: 'buffer',
    maxBuffer: 1e8,
  })
  decoder.child.stdin?.end(Buffer.concat(units.map(({ data }) => data)))
  const { stdout } = await decoder
  return Array.from({ length: stdout.length / 32 }, (_, index) => {
    const cells = [...stdout.subarray(index * 32, index * 32 + 32)].map((light) => (light > 128 ? 1 : 0))
    const value = (bits: number[]) => bits.reduce<number>((sum, bit) => sum * 2 + bit, 0)
    return { number: value(cells.slice(0, 16)), time: value(cells.slice(16)) }
  })
}
const quiet = ['-v', 'error']
/** Its two rows, a point for each cell. */
const strip = ['-vf', 'crop=iw:ih/8:0:0,scale=16:2:flags=area,format=gray', '-fps_mode', 'passthrough', '-f', 'rawvideo']

/** Width and height of a picture. */
export async function sizeOf(jpeg: Uint8Array): Promise<string> {
  const probe = execute('ffprobe', [
    ...quiet,
    '-show_entries',
    'stream=width,height',
    '-of',
    'csv=p=0:s=x',
    '-f',
    'jpeg_pipe',
    'pipe:0',
  ])
  probe.child.stdin?.end(jpeg)
  return (await probe).stdout.trim()
}

/** Programs whose arguments hold this, by their number. */
export async function programsWith(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  return pids.filter((_, index) => lines[index]?.includes(text))
}

/** What this process has started and still runs: ffmpeg and the like. */
export async function children(parent = process.pid): Promise<number[]> {
  const tasks = await readdir(`/proc/${parent}/task`).catch(() => [])
  const said = await Promise.all(tasks.map((task) => readFile(`/proc/${parent}/task/${task}/children`, 'utf8').catch(() => '')))
  return said.join(' ').split(' ').filter(Boolean).map(Number)
}
