import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { MountedFiles } from '../driver/disks.ts'
import { createNetwork } from '../driver/network.ts'
import { createSampler, type Machine } from '../driver/sampler.ts'
import { createSensors } from '../driver/sensors.ts'

const fixtures = join(dirname(fileURLToPath(import.meta.url)), 'fixtures')

/** A disk of 1000 blocks of 4 KiB: 400 free, 300 of them for ordinary users. Every mount whose last name has no dot is a directory. */
export const disks: MountedFiles = {
  statfs: async () => ({ bsize: 4096, blocks: 1000, bfree: 400, bavail: 300 }),
  isDirectory: (path) => !path.includes('.') && path !== '/etc/hosts',
}

/** A copy of a machine's tree that the test may change. */
export function openMachine(t: Test, name: string) {
  const root = mkdtempSync(join(tmpdir(), 'patchbay-system-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  cpSync(join(fixtures, name), root, { recursive: true })
  const os = JSON.parse(readFileSync(join(root, 'os.json'), 'utf8'))
  const machine: Machine = { cpus: () => os.cpus, networkInterfaces: () => os.networkInterfaces }
  const sensors = createSensors(root)
  const network = createNetwork(root, machine.networkInterfaces)
  return {
    root,
    sensors,
    network,
    sampler: createSampler(root, { machine, sensors, network, files: disks }),
    write: (path: string, text: string) => writeFileSync(join(root, path), text),
    remove: (path: string) => rmSync(join(root, path), { recursive: true }),
    read: (path: string) => readFileSync(join(root, path), 'utf8'),
  }
}
