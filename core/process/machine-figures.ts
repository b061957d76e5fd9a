import { readFileSync } from 'node:fs'
import type { MachineFigures } from './running.ts'

/** Of one process; undefined where the kernel does not tell, or it has ended. */
export function machineFigures(pid: number | undefined): MachineFigures | undefined {
  try {
    // The name of the program, in brackets, may hold anything.
    const times = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024
    return {
      ...(pid !== undefined && { pid }),
      // In hundredths of a second, to every program of every Linux.
      cpuS: (Number(times[11]) + Number(times[12])) / 100,
      rss: bytes('VmRSS'),
      ownMemory: bytes('RssAnon') + bytes('RssShmem'),
    }
  } catch {
    return undefined
  }
}

/** Of a service, whose accounts lie in this directory of the cgroup file system. */
export function serviceFigures(accounts: string): MachineFigures | undefined {
  const read = (file: string) => readFileSync(`${accounts}/${file}`, 'latin1')
  const count = (text: string, name: string) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
  try {
    const memory = read('memory.stat')
    const ownMemory = count(memory, 'anon') + count(memory, 'shmem')
    return { cpuS: count(read('cpu.stat'), 'usage_usec') / 1e6, rss: Number(read('memory.current')), ownMemory }
  } catch {
    return undefined
  }
}
