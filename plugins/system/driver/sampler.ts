import type { CpuInfo, NetworkInterfaceInfo } from 'node:os'
import { createCpuMeter, readFrequency } from './cpu.ts'
import { createDiskReader, type Disk, type MountedFiles } from './disks.ts'
import { type Memory, readMemory } from './memory.ts'
import { type Counters, type Network, type NetworkInterface, readCounters } from './network.ts'
import { readText } from './read.ts'
import type { Extras, Sensors } from './sensors.ts'

export interface Stats extends Extras {
  cpu: { usage: number; temperature: number | null; model: string; cores: number; frequency: number | null }
  memory: Memory
  disk: Disk[]
  network: NetworkInterface[]
  /** Seconds since the machine started. */
  uptime: number
}

/** What Node knows of the machine; `node:os` itself outside tests. */
export interface Machine {
  cpus(): CpuInfo[]
  networkInterfaces(): NodeJS.Dict<NetworkInterfaceInfo[]>
}

export interface Sampler {
  /** Takes the readings that the next sample is measured against. */
  begin(): void
  /** Everything as it is now; usage and traffic since the sample before. Throws if /proc cannot be read. */
  sample(): Promise<Stats>
}

export function createSampler(
  root: string,
  parts: { machine: Machine; sensors: Sensors; network: Network; files?: MountedFiles },
): Sampler {
  const { machine, sensors, network } = parts
  const readDisks = createDiskReader(root, parts.files)
  const cores = machine.cpus()
  const model = cores[0]?.model.trim() ?? ''
  let cpuMeter = createCpuMeter(root)
  let usage = 0
  let counters: Counters | undefined
  let countedAt = 0

  const count = (): { latest: Counters; before: Counters | undefined; seconds: number } => {
    const latest = readCounters(root)
    if (!latest) throw new Error(`${root}/proc/net/dev cannot be read`)
    const now = performance.now()
    const result = { latest, before: counters, seconds: (now - countedAt) / 1000 }
    counters = latest
    countedAt = now
    return result
  }

  return {
    begin() {
      cpuMeter = createCpuMeter(root)
      cpuMeter()
      count()
    },
    async sample() {
      usage = cpuMeter() ?? usage
      const { latest, before, seconds } = count()
      return {
        cpu: {
          usage,
          temperature: sensors.temperature(),
          model: model === 'unknown' ? '' : model,
          cores: cores.length,
          frequency: readFrequency(root),
        },
        memory: readMemory(root),
        disk: await readDisks(),
        network: network.read(latest, before, seconds),
        uptime: readUptime(root),
        ...sensors.extras(),
      }
    },
  }
}

/** Seconds, time asleep included. Throws if /proc/uptime cannot be read. */
export function readUptime(root: string): number {
  const uptime = Number.parseFloat(readText(`${root}/proc/uptime`) ?? '')
  if (Number.isNaN(uptime)) throw new Error(`${root}/proc/uptime cannot be read`)
  return uptime
}
