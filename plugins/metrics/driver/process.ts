import { readdir, readFile } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import { type Family, single } from './exposition.ts'

/** Figures of this process, under the names that Prometheus' client libraries use. */
export async function processFamilies(): Promise<Family[]> {
  const [open, most] = await Promise.all([openFiles(), maxFiles()])
  const { user, system } = process.cpuUsage()
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
  const { active, idle } = performance.eventLoopUtilization()
  const uptime = process.uptime()
  return [
    single('process_cpu_user_seconds_total', 'counter', 'User CPU time, all threads.', user / 1e6),
    single('process_cpu_system_seconds_total', 'counter', 'System CPU time, all threads.', system / 1e6),
    single('process_cpu_seconds_total', 'counter', 'User and system CPU time, all threads.', (user + system) / 1e6),
    single('process_resident_memory_bytes', 'gauge', 'Resident memory.', rss),
    single('nodejs_heap_size_total_bytes', 'gauge', 'JavaScript heap, reserved.', heapTotal),
    single('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript heap, in use.', heapUsed),
    single('nodejs_external_memory_bytes', 'gauge', 'Memory outside the heap that JavaScript objects hold.', external),
    single('nodejs_eventloop_active_seconds_total', 'counter', 'Time in which the event loop was at work.', active / 1e3),
    single('nodejs_eventloop_idle_seconds_total', 'counter', 'Time in which the event loop waited.', idle / 1e3),
    optional('process_open_fds', 'Open file descriptors.', open),
    optional('process_max_fds', 'How many file descriptors may be open (soft limit).', most),
    single('process_start_time_seconds', 'gauge', 'When it started, since the epoch.', Math.round(Date.now() / 1e3 - uptime)),
    single('process_uptime_seconds', 'gauge', 'How long it has run, whatever became of the clock meanwhile.', uptime),
  ]
}

function optional(name: string, help: string, value: number | undefined): Family {
  return { name, type: 'gauge', help, samples: value === undefined ? [] : [{ value }] }
}

/** Undefined where /proc is not to be read, as in some sandboxes. The one that reads the directory is not counted. */
function openFiles(): Promise<number | undefined> {
  return readdir('/proc/self/fd').then(
    (names) => names.length - 1,
    () => undefined,
  )
}

async function maxFiles(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1]
  return soft === undefined ? undefined : Number(soft)
}
