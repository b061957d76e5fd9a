import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkTrust } from '../../../core/lifecycle/package-walk.ts'
import { workshopPath } from '../backup-format.ts'

const longestWait = 900

export interface Workshop {
  readonly pluginsDir: string
  /** An empty directory. It is gone when the work is done. */
  readonly work: string
  /** Where the version of a plugin that was replaced last is kept. */
  previous(id: string): string
}

/** Gives the plugin directory to one command at a time. What an earlier one that was interrupted left behind is removed first. */
export async function inWorkshop<T>(dataDir: string, task: (workshop: Workshop) => Promise<T>): Promise<T> {
  const pluginsDir = join(dataDir, 'plugins')
  // In the plugin directory, so that what is made there takes its place in one step. Discovery does not look into it.
  const dir = join(dataDir, workshopPath)
  await mkdir(join(dir, 'previous'), { recursive: true, mode: 0o700 })
  // In a directory that discovery refuses nothing would ever run.
  checkTrust(await lstat(pluginsDir), pluginsDir, false)
  // The kernel lets go of it when this process ends, however that happens.
  const file = await open(join(dir, 'lock'), 'a', 0o600)
  try {
    if (!(await lock(file.fd, ['--nonblock']))) {
      process.stderr.write('Waits for another command that changes plugins.\n')
      if (!(await lock(file.fd, ['--timeout', String(longestWait)]))) throw new Error('It does not end. Nothing was changed.')
    }
    for (const name of await readdir(dir)) if (name.startsWith('work-')) await remove(join(dir, name))
    const work = await mkdtemp(join(dir, 'work-'))
    try {
      return await task({ pluginsDir, work, previous: (id) => join(dir, 'previous', id) })
    } finally {
      await remove(work)
      // What was being unpacked when something else failed may still come.
      process.once('exit', () => rmSync(work, { recursive: true, force: true }))
    }
  } finally {
    await file.close()
  }
}

export const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true })

/** Puts a directory where none is, whole or not at all, whatever happens to the machine's power. */
export async function place(from: string, to: string): Promise<void> {
  await settle(from)
  await rename(from, to)
  await settle(to)
}

/** The numbers of renameat2(2), which Node.js does not call. Perl is on every Debian. */
const renameat2: Readonly<Record<string, number>> = { x64: 316, arm64: 276, riscv64: 276, loong64: 276, ppc64: 357, s390x: 347 }
const program = 'exit(syscall($ARGV[0], -100, $ARGV[1], -100, $ARGV[2], 2) == 0 ? 0 : 1)'

/** Lets two directories change places in one step: there is no moment in which either place is empty. */
export async function exchange(one: string, other: string): Promise<void> {
  await settle(one)
  const number = renameat2[process.arch]
  const done = number && (await ended(spawn('perl', ['-e', program, '--', String(number), one, other], { stdio: 'ignore' })))
  if (done !== 0)
    throw new Error(
      `The file system of ${one} cannot do this in one step. Nothing was changed; remove the plugin and add it again.`,
    )
  await settle(one)
}

/** Resolves when everything written on the file system is on the disk. */
async function settle(path: string): Promise<void> {
  await promisify(execFile)('sync', ['--file-system', path])
}

/** flock(1) locks what it inherits, which is this process's own open file. */
async function lock(fd: number, how: readonly string[]): Promise<boolean> {
  const code = await ended(spawn('flock', ['--exclusive', ...how, '3'], { stdio: ['ignore', 'ignore', 'inherit', fd] }))
  if (code > 1) throw new Error(`flock failed with ${code}.`)
  return code === 0
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? 128))
  })
}
