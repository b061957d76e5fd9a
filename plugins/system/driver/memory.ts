import { oneDecimal, readText } from './read.ts'

/** Bytes. `used` is what cannot be had without swapping: total - available. `free` is memory that nothing uses at all. */
export interface Memory {
  total: number
  used: number
  free: number
  available: number
  percent: number
}

/** From /proc/meminfo. Throws if it cannot be read. */
export function readMemory(root: string): Memory {
  const text = readText(`${root}/proc/meminfo`) ?? ''
  const bytes = (line: RegExp): number => Number(line.exec(text)?.[1]) * 1024
  const total = bytes(/^MemTotal:\s+(\d+) kB/m)
  const free = bytes(/^MemFree:\s+(\d+) kB/m)
  const available = bytes(/^MemAvailable:\s+(\d+) kB/m)
  if (!(total > 0 && free >= 0 && available >= 0)) throw new Error(`${root}/proc/meminfo does not tell the memory`)
  const used = Math.max(0, total - available)
  return { total, used, free, available, percent: oneDecimal((100 * used) / total) }
}
