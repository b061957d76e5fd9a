import { cpus } from 'node:os'

/** Tells, whenever it is called, the share of all processors' time that was used since the last call, 0-1. */
export function busyMeter(): () => number {
  let before = total()
  return () => {
    const now = total()
    const [all, idle] = [now.all - before.all, now.idle - before.idle]
    before = now
    return all > 0 ? 1 - idle / all : 0
  }
}

function total(): { all: number; idle: number } {
  const sum = { all: 0, idle: 0 }
  for (const { times } of cpus()) {
    sum.idle += times.idle
    sum.all += times.user + times.nice + times.sys + times.irq + times.idle
  }
  return sum
}
