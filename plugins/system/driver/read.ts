import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'

// Files of /proc and /sys are answered from memory: reading one here takes 3 to 10 microseconds, a round trip through the thread
// pool several times that. So they are read synchronously. What may wait for a disk or a network (statfs) is not.

/** The text of a file, or undefined if it cannot be read: not there, gone meanwhile, or refused by its driver. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** A one-line file without the white space and zero bytes around it; '' if it cannot be read. */
export function readLine(path: string): string {
  return readText(path)?.replaceAll('\0', '').trim() ?? ''
}

/** The number in a one-line file, or undefined. */
export function readNumber(path: string): number | undefined {
  const line = readLine(path)
  const value = Number(line)
  return line !== '' && Number.isFinite(value) ? value : undefined
}

/** The first 2 KiB of a file that grows with the machine, such as /proc/cpuinfo with its cores. */
export function readHead(path: string): string | undefined {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const bytes = Buffer.alloc(2048)
    return bytes.toString('utf8', 0, readSync(file, bytes))
  } catch {
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

/** The names in a directory in natural order (hwmon2 before hwmon10); none if it cannot be read. */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  } catch {
    return []
  }
}

/** One decimal is what a person reads; it also keeps the messages short. */
export function oneDecimal(value: number): number {
  return Math.round(value * 10) / 10
}
