import { createCpuMeter } from './cpu.ts'
import { readMemory } from './memory.ts'
import { type Counters, difference, type Network, readCounters } from './network.ts'
import { readUptime } from './sampler.ts'
import type { Sensors } from './sensors.ts'

/** Columns of equal length, oldest first. A gap in `t` is time in which nothing was measured (asleep, or stopped). */
export interface Columns {
  intervalS: number
  /** Milliseconds since the epoch, by the clock as it is now. */
  t: number[]
  /** Percent, since the sample before. */
  cpu: number[]
  memory: number[]
  /** Degrees Celsius. */
  temperature: Array<number | null>
  /** Bytes per second of all hardware interfaces, since the sample before. */
  rx: number[]
  tx: number[]
}

export interface History {
  /** Measures; the first call, and the first one after a gap, only take the readings that the next is measured against. */
  sample(): void
  columns(): Columns
}

const HOUR_S = 3600
const WIDTH = 6

/**
 * Makes the memory of the last hour, preallocated. Times are kept on the clock that counts from the machine's start and goes on
 * while it sleeps: a Pi wakes up in 1970 and learns the date minutes later, and its chart must survive that.
 */
export function createHistory(root: string, intervalS: number, parts: { sensors: Sensors; network: Network }): History {
  const rows = intervalS === 0 ? 0 : Math.ceil(HOUR_S / intervalS)
  const ring = new Float64Array(rows * WIDTH)
  const cpuMeter = createCpuMeter(root)
  let written = 0
  let before: { uptime: number; counters: Counters } | undefined

  const traffic = (now: Counters, old: Counters): { rx: number; tx: number } => {
    const sum = { rx: 0, tx: 0 }
    for (const name of parts.network.carriers(now.keys())) {
      const latest = now.get(name)
      const earlier = old.get(name)
      if (!latest || !earlier) continue
      const moved = difference(latest, earlier)
      sum.rx += moved.rx
      sum.tx += moved.tx
    }
    return sum
  }

  return {
    sample() {
      const uptime = readUptime(root)
      const counters = readCounters(root)
      const cpu = cpuMeter()
      const since = before
      before = counters && { uptime, counters }
      if (!counters || !since || cpu === undefined) return
      const seconds = uptime - since.uptime
      if (seconds <= 0 || seconds > intervalS * 1.5) return
      const { rx, tx } = traffic(counters, since.counters)
      const row = [uptime, cpu, readMemory(root).percent, parts.sensors.temperature() ?? Number.NaN, rx / seconds, tx / seconds]
      ring.set(row, (written % rows) * WIDTH)
      written += 1
    },
    columns() {
      const columns: Columns = { intervalS, t: [], cpu: [], memory: [], temperature: [], rx: [], tx: [] }
      const uptime = readUptime(root)
      const startedAt = Date.now() - uptime * 1000
      for (let index = Math.max(0, written - rows); index < written; index += 1) {
        const at = (index % rows) * WIDTH
        const [then = 0, cpu = 0, memory = 0, temperature = Number.NaN, rx = 0, tx = 0] = ring.subarray(at, at + WIDTH)
        if (then < uptime - HOUR_S) continue
        columns.t.push(Math.round(startedAt + then * 1000))
        columns.cpu.push(cpu)
        columns.memory.push(memory)
        columns.temperature.push(Number.isNaN(temperature) ? null : temperature)
        columns.rx.push(Math.round(rx))
        columns.tx.push(Math.round(tx))
      }
      return columns
    },
  }
}
