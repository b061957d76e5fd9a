import { setTimeout as delay } from 'node:timers/promises'
import { isComplete, type Partition, type Smart } from './drive.ts'
import type { Reading } from './storage.ts'
import { judge } from './verdict.ts'

/** Milliseconds: what asking the drives takes, and in which they warm up and cool down again. */
const [readMs, warmMs] = [50, 240_000]
const none = { passed: null, pendingSectors: null, firmware: 'SIM-1' } as const

const systemDrive: Smart = {
  ...none,
  protocol: 'nvme',
  model: 'Simulated NVMe drive',
  serial: 'SIMULATED-1',
  temperature: 0,
  percentageUsed: 3,
  powerOnHours: 4210,
  dataUnitsWritten: 18_204_117,
  dataUnitsRead: 22_918_004,
  mediaErrors: 0,
  unsafeShutdowns: 12,
  errorLogEntries: 0,
  availableSpare: 100,
  availableSpareThreshold: 10,
  criticalWarning: 0,
}
/** One that has seen better days, and does not tell everything. */
const wornDrive: Smart = {
  ...systemDrive,
  protocol: 'ata',
  model: 'Simulated SATA drive',
  serial: 'SIMULATED-2',
  percentageUsed: 91,
  powerOnHours: 31_877,
  mediaErrors: null,
  errorLogEntries: null,
  availableSpare: null,
  availableSpareThreshold: null,
  criticalWarning: null,
}

const partition = (device: string, mount: string, filesystem: string, size: number, used: number): Partition => ({
  device,
  mount,
  filesystem,
  size,
  used,
  percent: Math.ceil((100 * used) / size),
})
const system = [
  partition('/dev/simulated1p1', '/boot/firmware', 'vfat', 535_805_952, 80_740_352),
  partition('/dev/simulated1p2', '/', 'ext4', 501_809_635_328, 96_204_881_920),
]
const data = [partition('/dev/simulated2p1', '/srv/simulated', 'ext4', 983_351_529_472, 702_331_928_576)]

/** Reads two drives that are not real, as `createReader` does those that are. */
export function simulatedReader(): () => Promise<Reading> {
  return async () => {
    await delay(readMs)
    const drives = [
      tell('/dev/simulated1', systemDrive, 36, 512_110_190_592, true, system),
      tell('/dev/simulated2', wornDrive, 31, 1_000_204_886_016, false, data),
    ]
    return {
      health: drives.find(isComplete) ?? null,
      drives: drives.filter((drive) => !isComplete(drive)),
      partitions: [...system, ...data],
      failure: null,
      asked: drives.map(({ device }) => ({ device, failure: null })),
    }
  }
}

function tell(
  device: string,
  { passed, pendingSectors, ...told }: Smart,
  coolest: number,
  size: number,
  isSystem: boolean,
  partitions: Partition[],
) {
  const warmth = (1 - Math.cos((2 * Math.PI * performance.now()) / warmMs)) / 2
  const smart = { ...told, temperature: Math.round(coolest + 14 * warmth) }
  return { device, system: isSystem, partial: false, ...smart, size, ...judge({ ...smart, passed, pendingSectors }), partitions }
}
