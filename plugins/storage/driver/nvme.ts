import type { Smart } from './drive.ts'
import { at, count, type Exec, findObject, runTool, text, unreadable } from './tool.ts'

const TIMEOUT_MS = 6_000

/**
 * Asks an NVMe drive through nvme-cli, whose versions differ in types, not in names: the 128-bit counters are numbers in
 * 1.x and from 2.4 on, strings in between, and `critical_warning` is an object when details were asked for.
 */
export async function readNvme(exec: Exec, device: string): Promise<Smart> {
  const ask = (command: string) => runTool(exec, 'nvme', [command, device, '-o', 'json'], TIMEOUT_MS)
  const [log, controller] = await Promise.all([ask('smart-log'), ask('id-ctrl')])
  const smart = findObject(log.stdout)
  const kelvin = count(smart?.temperature)
  // Some versions have printed a log of zeros (nvme-cli issue 2759): at 0 K nothing in it is to be believed.
  if (log.exitCode !== 0 || !smart || !kelvin) throw unreadable(device, `${log.stderr}\n${log.stdout}`, 'CAP_SYS_ADMIN')
  const id = findObject(controller.stdout)
  return {
    protocol: 'nvme',
    model: text(id?.mn),
    serial: text(id?.sn),
    firmware: text(id?.fr),
    temperature: kelvin - 273,
    percentageUsed: count(smart.percent_used),
    powerOnHours: count(smart.power_on_hours),
    dataUnitsWritten: count(smart.data_units_written),
    dataUnitsRead: count(smart.data_units_read),
    mediaErrors: count(smart.media_errors),
    unsafeShutdowns: count(smart.unsafe_shutdowns),
    errorLogEntries: count(smart.num_err_log_entries),
    availableSpare: count(smart.avail_spare),
    availableSpareThreshold: count(smart.spare_thresh),
    criticalWarning: count(at(smart, 'critical_warning', 'value') ?? smart.critical_warning),
    passed: null,
    pendingSectors: null,
  }
}
