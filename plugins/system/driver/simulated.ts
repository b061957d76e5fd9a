import type { Columns } from './history.ts'
import type { Machine } from './machine.ts'
import type { PowerAction } from './power.ts'
import type { Stats } from './sampler.ts'

const [HOUR_MS, GIB] = [3_600_000, 1024 ** 3]
/** Milliseconds after which it is up again. */
const BOOT_MS = 20_000
const total = 8 * GIB

/** A figure that goes up and down around `middle`, with two periods (in seconds) and a little unrest; the same for the same time. */
function wave(ms: number, middle: number, swing: number, [slow, fast]: readonly [number, number]): number {
  const s = ms / 1000
  const unrest = Math.sin(s * 12.9898) * 43_758.5453
  return middle + swing * (0.6 * Math.sin(s / slow) + 0.3 * Math.sin(s / fast) + 0.1 * (unrest - Math.floor(unrest)))
}

const rounded = (value: number) => Math.round(value * 10) / 10
const cpuAt = (ms: number) => rounded(wave(ms, 34, 28, [70, 9]))
const memoryAt = (ms: number) => rounded(wave(ms, 41, 9, [400, 60]))
/** Heat follows load. */
const heatAt = (ms: number) => rounded(46 + cpuAt(ms - 5000) / 5)
const downAt = (ms: number) => Math.round(wave(ms, 420_000, 380_000, [50, 7]))
const upAt = (ms: number) => Math.round(wave(ms, 90_000, 80_000, [35, 5]))

/** A machine that is not real. Its restart and its shutdown do nothing to the one that this runs on. */
export function simulatedMachine(intervalS: number): Machine {
  let startedAt = Date.now() - 3 * 24 * HOUR_MS
  const stats = (): Stats => {
    const now = Date.now()
    // After a restart it is not up at once: its clock stands still.
    const [usage, percent] = [cpuAt(now), memoryAt(now)]
    const used = Math.round((total * percent) / 100)
    return {
      cpu: { usage, temperature: heatAt(now), model: 'Simulated processor', cores: 4, frequency: usage > 40 ? 2400 : 1500 },
      memory: { total, used, free: Math.round((total - used) / 3), available: total - used, percent },
      disk: [{ filesystem: '/dev/simulated1p2', type: 'ext4', size: 467 * GIB, used: 90 * GIB, mount: '/', percent: 20 }],
      network: [
        {
          iface: 'simulated0',
          ip4: '192.0.2.18',
          mac: '02:00:00:00:00:18',
          speed: 1000,
          isUp: true,
          rx: downAt(now),
          tx: upAt(now),
        },
      ],
      uptime: Math.max(0, (now - startedAt) / 1000),
      underVoltage: false,
      fan: { percent: Math.round(heatAt(now)), rpm: Math.round(heatAt(now) * 60) },
    }
  }
  return {
    sampler: { begin: () => undefined, sample: async () => stats() },
    history: {
      sample: () => undefined,
      columns() {
        const rows = intervalS === 0 ? 0 : Math.ceil(HOUR_MS / 1000 / intervalS)
        const t = Array.from({ length: rows }, (_, row) => Date.now() - (rows - row) * intervalS * 1000)
        const column = (at: (ms: number) => number) => t.map(at)
        const columns: Columns = {
          intervalS,
          t,
          cpu: column(cpuAt),
          memory: column(memoryAt),
          temperature: column(heatAt),
          rx: column(downAt),
          tx: column(upAt),
        }
        return columns
      },
    },
    complains: true,
    info: async () => ({
      hostname: 'SIMULATED',
      os: { distro: 'Simulated system', release: '1', codename: '', kernel: 'simulated', arch: 'simulated' },
      hardware: { model: 'Simulated machine', serial: 'SIMULATED' },
    }),
    throttling: async () => ({ now: [], sinceStart: ['under-voltage'] }),
    canPower: async () => ({ can: 'yes' }),
    power: async (_action: PowerAction) => {
      startedAt = Date.now() + BOOT_MS
    },
    findPower: async () => [],
  }
}
