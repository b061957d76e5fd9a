// Lab machines that have booted, kept beside the image as they were then.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const here = import.meta.dirname

/**
 * The directory of a machine booted with these flags of boot.sh: `root.img` and `memory`. It is made when there is none of these very
 * scripts and this very emulator: `make` boots from the disk that it is given, and leaves the memory in the file.
 */
export async function keptFrozen(
  flags: readonly string[],
  make: (disk: string, memory: string) => Promise<void>,
): Promise<string> {
  const image = (await execute(join(here, 'build.sh'), { maxBuffer: 1e8 })).stdout.trim()
  const { stdout: emulator } = await execute('qemu-system-x86_64', ['--version'])
  const hash = createHash('sha256').update(JSON.stringify([flags, emulator, process.env['PATCHBAY_LAB_ACCEL']]))
  for (const file of ['boot.sh', 'guest/agent.sh', 'guest/hardware.sh', 'guest/wifi.sh', 'guest/bluetooth.sh'])
    hash.update(await readFile(join(here, file)))
  const name = ['booted', ...flags.map((flag) => flag.slice(2))].join('-')
  const directory = join(image, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(directory)) return directory
  const partial = await mkdtemp(join(image, 'partial-'))
  try {
    const disk = join(partial, 'root.img')
    await execute('cp', ['--sparse=always', join(image, 'root.img'), disk])
    await make(disk, join(partial, 'memory'))
    // Another one may have been quicker.
    await rename(partial, directory).catch(() => undefined)
    const isOld = (entry: string) => new RegExp(`^${name}-[0-9a-f]{16}$`).test(entry) && join(image, entry) !== directory
    for (const entry of (await readdir(image)).filter(isOld)) await rm(join(image, entry), { recursive: true, force: true })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
  return directory
}
