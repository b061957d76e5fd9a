import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { list, read, real } from './sysfs.ts'

/** One mounted file system that lies on drives. */
export interface Mount {
  readonly target: string
  /** Kernel names of the drives below it: several for a RAID or a volume group. */
  readonly drives: readonly string[]
}

/**
 * The file systems that lie on real block devices, each once: where it is mounted at `/` or else nearest to it. Bind mounts of
 * parts of it, overlays, network and memory file systems, images in loop devices and optical discs are left out.
 */
export async function readMounts(root: string): Promise<Mount[]> {
  const lines = (await readFile(join(root, 'proc/self/mountinfo'), 'utf8')).split('\n')
  // What is mounted later at the same place hides the earlier.
  const visible = new Map(lines.flatMap((line) => parseLine(line) ?? []).map((entry) => [entry.target, entry]))
  const chosen = new Map<string, Entry>()
  for (const entry of visible.values()) {
    const other = chosen.get(entry.device)
    if (!other || rank(entry) < rank(other)) chosen.set(entry.device, entry)
  }
  const mounts = await Promise.all(
    [...chosen.values()].map(async (entry) => {
      const path = await blockPath(root, entry)
      return { target: entry.target, drives: path === null ? [] : [...new Set(await drivesBelow(path))] }
    }),
  )
  return mounts
    .filter(({ drives }) => drives.length > 0 && !drives.some((name) => /^(loop|ram|zram|sr|fd)\d/.test(name)))
    .sort((a, b) => (a.target < b.target ? -1 : 1))
}

interface Entry {
  /** `major:minor` */
  readonly device: string
  /** What part of the file system is mounted. */
  readonly part: string
  readonly target: string
  readonly source: string
}

/** See proc_pid_mountinfo(5). */
function parseLine(line: string): Entry | null {
  const [, , device, part, target, ...rest] = line.split(' ')
  const source = rest[rest.indexOf('-') + 2]
  if (!device || !part || !target || !source) return null
  return { device, part, target: unescaped(target), source: unescaped(source) }
}

const unescaped = (field: string) =>
  field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** The root first, then whole file systems before parts, then short paths. */
const rank = ({ target, part }: Entry) => (target === '/' ? 0 : part.length * 2 ** 16 + target.length)

/** The device in sysfs. btrfs gives itself a number of its own (major 0): there it is found by the name of its source. */
async function blockPath(root: string, { device, source }: Entry): Promise<string | null> {
  const path = await real(join(root, 'sys/dev/block', device))
  if (path !== null || !source.startsWith('/dev/')) return path
  const mapped = source.startsWith('/dev/mapper/') ? await mapperName(root, basename(source)) : undefined
  return real(join(root, 'sys/class/block', mapped ?? basename(source)))
}

async function mapperName(root: string, wanted: string): Promise<string | undefined> {
  for (const name of await list(join(root, 'sys/class/block')))
    if (name.startsWith('dm-') && (await read(join(root, 'sys/class/block', name, 'dm/name')))?.trim() === wanted) return name
  return undefined
}

async function drivesBelow(path: string): Promise<string[]> {
  if ((await read(join(path, 'partition'))) !== null) return drivesBelow(dirname(path))
  const below = await Promise.all((await list(join(path, 'slaves'))).map((name) => real(join(path, 'slaves', name))))
  if (below.length === 0) return [basename(path)]
  return (await Promise.all(below.flatMap((device) => (device === null ? [] : drivesBelow(device))))).flat()
}
