import { oneDecimal, readHead, readNumber, readText } from './read.ts'

/**
 * Makes a meter of how busy the processors are. Each call tells the percentage since the call before, all cores together, 0 to 100;
 * undefined on the first one and when no time has passed. Waiting for disks counts as idle, time stolen by a hypervisor as busy.
 */
export function createCpuMeter(root: string): () => number | undefined {
  let before: { idle: number; total: number } | undefined
  return () => {
    const now = parseCpuTimes(readText(`${root}/proc/stat`) ?? '')
    const since = before
    before = now
    if (!now || !since || now.total <= since.total) return undefined
    // The kernel's idle and iowait counters can run backwards by a tick.
    const idle = (now.idle - since.idle) / (now.total - since.total)
    return oneDecimal(100 * (1 - Math.min(1, Math.max(0, idle))))
  }
}

/** From the first line of /proc/stat: user nice system idle iowait irq softirq steal; guest time is part of user time. */
function parseCpuTimes(stat: string): { idle: number; total: number } | undefined {
  const end = stat.indexOf('\n')
  const fields = stat.slice(0, end < 0 ? undefined : end).split(/\s+/)
  if (fields[0] !== 'cpu') return undefined
  const times = fields.slice(1, 9).map(Number)
  const total = times.reduce((sum, time) => sum + time, 0)
  return Number.isFinite(total) ? { idle: (times[3] ?? 0) + (times[4] ?? 0), total } : undefined
}

/** What the first core runs at now, in MHz; null where neither cpufreq nor /proc/cpuinfo tells. */
export function readFrequency(root: string): number | null {
  const kilohertz = readNumber(`${root}/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq`)
  if (kilohertz !== undefined) return Math.round(kilohertz / 1000)
  const megahertz = /^cpu MHz\s*:\s*([\d.]+)/m.exec(readHead(`${root}/proc/cpuinfo`) ?? '')?.[1]
  return megahertz === undefined ? null : Math.round(Number(megahertz))
}
