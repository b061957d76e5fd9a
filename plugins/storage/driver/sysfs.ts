import { readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { COUNTERS, type Counters, type Smart } from './drive.ts'
import { text } from './tool.ts'

/** What sysfs does not have, or no longer has, is null or nothing: drives come and go while it is read. */
export const read = (path: string): Promise<string | null> => readFile(path, 'latin1').catch(() => null)
export const list = (path: string): Promise<string[]> => readdir(path).catch(() => [])
export const real = (path: string): Promise<string | null> => realpath(path).catch(() => null)

/** What the kernel lets everybody know of a drive: who made it, how large it is (bytes) and mostly how warm. */
export interface Facts extends Smart {
  readonly size: number
}

const UNKNOWN = Object.fromEntries(COUNTERS.map((name) => [name, null])) as Counters

export async function readFacts(root: string, name: string): Promise<Facts> {
  const block = join(root, 'sys/block', name)
  const device = (file: string) => read(join(block, 'device', file))
  const isNvme = name.startsWith('nvme')
  return {
    ...UNKNOWN,
    protocol: isNvme ? 'nvme' : (await device('vendor'))?.trim() === 'ATA' ? 'ata' : 'scsi',
    model: text(await device('model')),
    serial: text(isNvme ? await device('serial') : (await device('vpd_pg80'))?.slice(4)),
    firmware: text(await device(isNvme ? 'firmware_rev' : 'rev')),
    temperature: await readTemperature(join(block, 'device')),
    passed: null,
    pendingSectors: null,
    size: Number(await read(join(block, 'size'))) * 512,
  }
}

/** From hwmon, which lies beside an NVMe controller's files and in a folder of its own for SATA (module drivetemp). */
async function readTemperature(device: string): Promise<number | null> {
  for (const folder of [device, join(device, 'hwmon')])
    for (const name of await list(folder)) {
      const millidegrees = /^hwmon\d+$/.test(name) ? await read(join(folder, name, 'temp1_input')) : null
      if (millidegrees !== null) return Math.round(Number(millidegrees) / 1000)
    }
  return null
}
