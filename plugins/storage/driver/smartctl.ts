import { type Smart, StorageFailure } from './drive.ts'
import { at, count, DENIED, type Exec, findObject, type Json, permission, runTool, text, unreadable } from './tool.ts'

const TIMEOUT_MS = 6_000
const UNIT = 512_000
const GIB = 2 ** 30

/**
 * Asks a SATA, USB or SAS drive through smartctl. Null when the drive has no health data (a memory stick, a USB bridge that
 * passes none). The exit code is a bit mask in which most bits speak of the drive's health: only the JSON counts.
 */
export async function readSmartctl(exec: Exec, device: string, isAta: boolean): Promise<Smart | null> {
  const { stdout, stderr } = await runTool(exec, 'smartctl', ['-j', '-a', device], TIMEOUT_MS)
  const answer = findObject(stdout)
  const said = JSON.stringify(at(answer, 'smartctl', 'messages') ?? stderr)
  const smart = answer && parseSmartctl(answer)
  if (smart) return smart
  if (answer === null || DENIED.test(said)) throw unreadable(device, said, 'CAP_SYS_RAWIO')
  // Without CAP_SYS_RAWIO, but with the group disk, smartctl takes a SATA drive for one that has nothing to say, and succeeds.
  if (isAta) throw new StorageFailure('STORAGE_PERMISSION', permission(device, 'CAP_SYS_RAWIO'))
  return null
}

type Parser = (answer: Json) => Omit<Smart, keyof ReturnType<typeof common>>
const PARSERS: ReadonlyMap<unknown, Parser> = new Map<unknown, Parser>([
  ['NVMe', fromNvme],
  ['ATA', fromAta],
  ['ATA+SCSI', fromAta],
  ['SCSI', fromScsi],
])

function parseSmartctl(answer: Json): Smart | null {
  const parse = PARSERS.get(at(answer, 'device', 'protocol'))
  if (!parse || typeof at(answer, 'smart_status', 'passed') !== 'boolean') return null
  return { ...common(answer), ...parse(answer) }
}

function common(answer: Json) {
  return {
    model: text(answer.model_name ?? answer.scsi_model_name),
    serial: text(answer.serial_number),
    firmware: text(answer.firmware_version ?? answer.scsi_revision ?? answer.revision),
    temperature: count(at(answer, 'temperature', 'current')) || null,
    powerOnHours: count(at(answer, 'power_on_time', 'hours')),
    passed: at(answer, 'smart_status', 'passed') === true,
  }
}

/** An NVMe drive behind a USB bridge. */
function fromNvme(answer: Json) {
  const log = (name: string) => count(at(answer, 'nvme_smart_health_information_log', name))
  return {
    protocol: 'nvme' as const,
    percentageUsed: log('percentage_used'),
    dataUnitsWritten: log('data_units_written'),
    dataUnitsRead: log('data_units_read'),
    mediaErrors: log('media_errors'),
    unsafeShutdowns: log('unsafe_shutdowns'),
    errorLogEntries: log('num_err_log_entries'),
    availableSpare: log('available_spare'),
    availableSpareThreshold: log('available_spare_threshold'),
    criticalWarning: log('critical_warning'),
    pendingSectors: null,
  }
}

/**
 * What an ATA attribute means is the manufacturer's choice: past those that all agree on, attributes are believed only for a
 * drive in smartctl's database, by the name that it gives them.
 */
function fromAta(answer: Json) {
  const table = at(answer, 'ata_smart_attributes', 'table')
  const attributes = new Map(Array.isArray(table) ? table.map((row: unknown) => [text(at(row, 'name')), row]) : [])
  const known = answer.in_smartctl_database === true
  const raw = (...names: string[]) => first(names, (name) => count(at(attributes.get(name), 'raw', 'value')))
  const scaled = (field: 'value' | 'thresh', ...names: string[]) => first(names, (name) => count(at(attributes.get(name), field)))
  const units = (blocks: string, kind: string) => {
    const lbas = raw(blocks)
    if (lbas !== null) return Math.round((lbas * (count(answer.logical_block_size) ?? 512)) / UNIT)
    const gib = raw(`Host_${kind}_GiB`, `Lifetime_${kind}_GiB`, `Total_${kind}_GiB`)
    const parts = raw(`Host_${kind}_32MiB`)
    if (gib !== null) return Math.round((gib * GIB) / UNIT)
    return parts === null ? null : Math.round((parts * GIB) / 32 / UNIT)
  }
  const left = scaled('value', 'Percent_Lifetime_Remain', 'SSD_Life_Left', 'Media_Wearout_Indicator', 'Wear_Leveling_Count')
  return {
    protocol: 'ata' as const,
    percentageUsed:
      count(at(answer, 'endurance_used', 'current_percent')) ?? (known && left !== null ? Math.max(0, 100 - left) : null),
    dataUnitsWritten: known ? units('Total_LBAs_Written', 'Writes') : null,
    dataUnitsRead: known ? units('Total_LBAs_Read', 'Reads') : null,
    mediaErrors: raw('Reported_Uncorrect', 'Uncorrectable_Error_Cnt'),
    unsafeShutdowns: known ? raw('Unexpect_Power_Loss_Ct', 'Unsafe_Shutdown_Count', 'POR_Recovery_Count') : null,
    errorLogEntries: count(at(answer, 'ata_smart_error_log', 'summary', 'count')),
    availableSpare: known ? scaled('value', 'Available_Reservd_Space') : null,
    availableSpareThreshold: known ? scaled('thresh', 'Available_Reservd_Space') : null,
    criticalWarning: null,
    pendingSectors: raw('Current_Pending_Sector'),
  }
}

function fromScsi(answer: Json) {
  const log = (side: string, name: string) => at(answer, 'scsi_error_counter_log', side, name)
  const units = (side: string) => {
    const gigabytes = Number.parseFloat(String(log(side, 'gigabytes_processed')))
    return Number.isFinite(gigabytes) ? Math.round((gigabytes * 1e9) / UNIT) : null
  }
  const errors = ['read', 'write', 'verify'].flatMap((side) => count(log(side, 'total_uncorrected_errors')) ?? [])
  return {
    protocol: 'scsi' as const,
    percentageUsed: count(answer.scsi_percentage_used_endurance_indicator ?? at(answer, 'endurance_used', 'current_percent')),
    dataUnitsWritten: units('write'),
    dataUnitsRead: units('read'),
    mediaErrors: errors.length > 0 ? errors.reduce((sum, value) => sum + value) : null,
    unsafeShutdowns: null,
    errorLogEntries: null,
    availableSpare: null,
    availableSpareThreshold: null,
    criticalWarning: null,
    pendingSectors: null,
  }
}

function first(names: readonly string[], value: (name: string) => number | null): number | null {
  for (const name of names) {
    const found = value(name)
    if (found !== null) return found
  }
  return null
}
