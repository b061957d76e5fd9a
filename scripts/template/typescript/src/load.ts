import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'

/** The driver: it knows the machine, and nothing of Patchbay. Throws if the file is not what the kernel writes. */
export async function readLoad(file = '/proc/loadavg', cores = availableParallelism()): Promise<number> {
  const text = await readFile(file, 'utf8')
  const lastMinute = Number(text.split(' ')[0] || Number.NaN)
  if (Number.isNaN(lastMinute)) throw new Error(`${file} begins with no number: ${text.slice(0, 40)}`)
  return lastMinute / cores
}
