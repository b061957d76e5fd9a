import { type Partition, StorageFailure } from './drive.ts'
import type { Mount } from './mounts.ts'
import { type Exec, runTool } from './tool.ts'

const ALL_MS = 3_000
const ONE_MS = 2_000

export interface Partitions {
  /** By mount point. */
  readonly found: ReadonlyMap<string, Partition>
  readonly failure: StorageFailure | null
}

/**
 * Asks df about these file systems and no others: one that hangs (a dead network share) is not touched unless it is among
 * them. Then each is asked alone, and those that answer are told.
 */
export async function readPartitions(exec: Exec, mounts: readonly Mount[]): Promise<Partitions> {
  const targets = mounts.map(({ target }) => target)
  if (targets.length === 0) return { found: new Map(), failure: null }
  const together = await ask(exec, targets, ALL_MS)
  const timedOut = together.failure?.code === 'STORAGE_READ_FAILED' && targets.length > 1
  const answers = timedOut ? await Promise.all(targets.map((target) => ask(exec, [target], ONE_MS))) : [together]
  return {
    found: new Map(answers.flatMap(({ found }) => [...found])),
    failure: answers.find(({ failure }) => failure)?.failure ?? null,
  }
}

/** The mount point stands last, since it may hold spaces. */
async function ask(exec: Exec, targets: readonly string[], timeoutMs: number): Promise<Partitions> {
  const columns = '--output=source,fstype,size,used,pcent,target'
  try {
    const { stdout } = await runTool(exec, 'df', [columns, '-B1', '--', ...targets], timeoutMs)
    const rows = stdout.split('\n').flatMap((line) => parseRow(line) ?? [])
    const found = new Map(rows.map((row) => [row.mount, row]))
    const missing = targets.filter((target) => !found.has(printable(target)))
    const failure =
      missing.length > 0
        ? new StorageFailure('STORAGE_READ_FAILED', `df tells nothing of ${printable(missing.join(', '))}.`)
        : null
    return { found, failure }
  } catch (error) {
    if (error instanceof StorageFailure) return { found: new Map(), failure: error }
    throw error
  }
}

function parseRow(line: string): Partition | null {
  const [, device, filesystem, size, used, percent, mount] = /^(\S.*?) +(\S+) +(\d+) +(\d+) +(\d+)% (.+)$/.exec(line) ?? []
  if (!device || !filesystem || !mount) return null
  return { device, mount, filesystem, size: Number(size), used: Number(used), percent: Number(percent) }
}

/** As df prints a path. */
export const printable = (path: string) => path.replace(/\p{Cc}/gu, '?')
