import { statSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { oneDecimal, readText } from './read.ts'

export interface Disk {
  /** The device, as in df's first column: `/dev/nvme0n1p2`. */
  filesystem: string
  /** `ext4`, `btrfs`, ... */
  type: string
  /** Bytes. */
  size: number
  used: number
  mount: string
  /** Of what an ordinary user can fill, as df counts it. */
  percent: number
}

interface Mount {
  /** `major:minor`, the same for every mount of one file system. */
  device: string
  /** Which directory of the file system is mounted: `/` unless it is a bind mount or a subvolume. */
  subtree: string
  mount: string
  type: string
  source: string
}

/** What the reader asks the machine, besides /proc. */
export interface MountedFiles {
  statfs(path: string): Promise<{ bsize: number; blocks: number; bfree: number; bavail: number }>
  isDirectory(path: string): boolean
}

const machine: MountedFiles = {
  statfs: (path) => statfs(path),
  isDirectory: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
}

/** They may hang for ever with their server, and each call that hangs holds one of the few threads of the whole process. */
const REMOTE = /^(nfs|cifs|smb|9p|ceph|afs|coda|gfs|ocfs|lustre|gluster|beegfs|virtiofs|fuse$|fuse\.)/
/** Images that are full by nature: snaps, discs. */
const IMAGE = /^(squashfs|erofs|cramfs|romfs|iso9660|udf)$/
/** Real file systems without a block device number of their own. */
const WITHOUT_DEVICE = /^(btrfs|zfs|bcachefs|ubifs)$/
/** A disk that has not answered by then is left out of the list. */
const DEADLINE_MS = 500

/** Makes a reader of the local file systems, each once, the root first. It never has two questions at one disk. */
export function createDiskReader(root: string, files: MountedFiles = machine): () => Promise<Disk[]> {
  let text: string | undefined
  let mounts: Mount[] = []
  const asking = new Set<string>()

  const ask = async (entry: Mount): Promise<Disk | undefined> => {
    asking.add(entry.mount)
    try {
      return toDisk(entry, await files.statfs(entry.mount))
    } catch {
      return undefined // Unmounted or unplugged since the list was read.
    } finally {
      asking.delete(entry.mount)
    }
  }

  return async () => {
    const latest = readText(`${root}/proc/self/mountinfo`) ?? ''
    if (latest !== text) {
      text = latest
      mounts = selectMounts(parseMounts(latest), files)
    }
    const { late, cancel } = deadline()
    const disks = await Promise.all(
      mounts.filter(({ mount }) => !asking.has(mount)).map((entry) => Promise.race([ask(entry), late])),
    )
    cancel()
    return disks.filter((disk) => disk !== undefined)
  }
}

function deadline(): { late: Promise<undefined>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), DEADLINE_MS)
  })
  return { late, cancel: () => clearTimeout(timer) }
}

function toDisk(entry: Mount, { bsize, blocks, bfree, bavail }: Awaited<ReturnType<MountedFiles['statfs']>>): Disk | undefined {
  if (blocks === 0) return undefined
  const used = blocks - bfree
  return {
    filesystem: entry.source,
    type: entry.type,
    size: blocks * bsize,
    used: used * bsize,
    mount: entry.mount,
    percent: used === 0 ? 0 : oneDecimal((100 * used) / (used + bavail)),
  }
}

/** https://www.kernel.org/doc/html/latest/filesystems/proc.html, 3.5: optional fields end at a lone dash. */
function parseMounts(mountinfo: string): Mount[] {
  const mounts: Mount[] = []
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ')
    const dash = fields.indexOf('-', 6)
    const [, , device, subtree, mount] = fields
    const [type, source] = fields.slice(dash + 1)
    if (dash < 0 || !device || !subtree || !mount || !type || !source) continue
    mounts.push({ device, subtree: unescapeOctal(subtree), mount: unescapeOctal(mount), type, source: unescapeOctal(source) })
  }
  return mounts
}

/** The kernel writes space, tab, newline and backslash as octal. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

function selectMounts(all: readonly Mount[], files: MountedFiles): Mount[] {
  // Of several mounts on one directory the last one hides the others.
  const visible = new Map(all.map((entry) => [entry.mount, entry]))
  const best = new Map<string, Mount>()
  for (const entry of visible.values()) {
    if (!isReal(entry)) continue
    // A container's /etc/hosts is a single file of its host's disk.
    if (entry.subtree !== '/' && !files.isDirectory(entry.mount)) continue
    const other = best.get(entry.device)
    if (!other || rank(entry) < rank(other)) best.set(entry.device, entry)
  }
  return [...best.values()].sort((a, b) => Number(b.mount === '/') - Number(a.mount === '/'))
}

/** The root always counts, also where it is an overlay or comes over the network: it is what fills up. */
function isReal({ type, device, mount }: Mount): boolean {
  if (mount === '/') return true
  return !REMOTE.test(type) && !IMAGE.test(type) && (!device.startsWith('0:') || WITHOUT_DEVICE.test(type))
}

/** Of the mounts of one file system: the root, then a whole one before a bind mount, then the shortest path. */
function rank({ mount, subtree }: Mount): number {
  return mount === '/' ? 0 : mount.length + (subtree === '/' ? 0 : 10_000)
}
