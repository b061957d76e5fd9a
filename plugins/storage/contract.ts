import { defineContract, Type } from 'patchbay/plugin'

const Partition = Type.Object({
  device: Type.String(),
  mount: Type.String(),
  filesystem: Type.String(),
  size: Type.Number({ description: 'bytes' }),
  used: Type.Number({ description: 'bytes' }),
  percent: Type.Number({ description: 'used, of what can be used, rounded up' }),
})
const Protocol = Type.Union([Type.Literal('nvme'), Type.Literal('ata'), Type.Literal('scsi')])
const Verdict = Type.Union([Type.Literal('good'), Type.Literal('worn'), Type.Literal('failing')])

/** Fields that are the same in both shapes. */
const drive = {
  device: Type.String(),
  protocol: Protocol,
  system: Type.Boolean({ description: 'holds the file system /' }),
  partial: Type.Boolean({ description: 'the health could not be read; reason says why' }),
  size: Type.Number({ description: 'bytes' }),
  reason: Type.String({ description: 'why the verdict, in sentences' }),
  partitions: Type.Array(Partition),
}
const texts = { model: Type.String(), serial: Type.String(), firmware: Type.String() }
const numbers = {
  temperature: Type.Number({ description: 'degrees Celsius' }),
  percentageUsed: Type.Number({ description: 'of the rated endurance; may exceed 100' }),
  powerOnHours: Type.Number(),
  dataUnitsWritten: Type.Number({ description: 'units of 512,000 bytes' }),
  dataUnitsRead: Type.Number({ description: 'units of 512,000 bytes' }),
  mediaErrors: Type.Number(),
  unsafeShutdowns: Type.Number(),
  errorLogEntries: Type.Number(),
  availableSpare: Type.Number({ description: 'percent' }),
  availableSpareThreshold: Type.Number({ description: 'percent' }),
  criticalWarning: Type.Number({ description: 'bitmap of the NVMe specification, 0 for none' }),
}
const Unknown = Type.Null({ description: 'the drive does not tell' })

/** StorageHealth of the Pi Manager contract, and more. */
const StorageHealth = Type.Object({ ...drive, ...texts, ...numbers, verdict: Verdict })

/** Any drive: what it does not tell is null. */
const Drive = Type.Object({
  ...drive,
  model: Type.Union([texts.model, Unknown]),
  serial: Type.Union([texts.serial, Unknown]),
  firmware: Type.Union([texts.firmware, Unknown]),
  temperature: Type.Union([numbers.temperature, Unknown]),
  percentageUsed: Type.Union([numbers.percentageUsed, Unknown]),
  powerOnHours: Type.Union([numbers.powerOnHours, Unknown]),
  dataUnitsWritten: Type.Union([numbers.dataUnitsWritten, Unknown]),
  dataUnitsRead: Type.Union([numbers.dataUnitsRead, Unknown]),
  mediaErrors: Type.Union([numbers.mediaErrors, Unknown]),
  unsafeShutdowns: Type.Union([numbers.unsafeShutdowns, Unknown]),
  errorLogEntries: Type.Union([numbers.errorLogEntries, Unknown]),
  availableSpare: Type.Union([numbers.availableSpare, Unknown]),
  availableSpareThreshold: Type.Union([numbers.availableSpareThreshold, Unknown]),
  criticalWarning: Type.Union([numbers.criticalWarning, Unknown]),
  verdict: Type.Union([Verdict, Unknown]),
})

export const storage = defineContract({
  id: 'storage',
  description: 'Health and partitions of the drives',
  needs: {
    tools: {
      nvme: { package: 'nvme-cli', optional: true },
      smartctl: { package: 'smartmontools', optional: true },
    },
  },
  capabilities: { exec: ['nvme', 'smartctl', 'df'] },
  settings: Type.Object(
    { simulated: Type.Boolean({ default: false, description: 'Drives that are not real, instead.' }) },
    { additionalProperties: false },
  ),
  commands: {
    'storage:refresh': {
      description: 'Reads all drives and partitions anew and publishes them before it answers',
      role: 'operator',
      timeoutMs: 10_000,
      rate: { max: 3, windowMs: 30_000 },
    },
  },
  events: {
    'storage:health': {
      description: 'The drive that holds /, or else the first that tells all of this',
      payload: StorageHealth,
      retained: true,
    },
    'storage:drives': { description: 'The other drives that tell of their health', payload: Type.Array(Drive), retained: true },
    'storage:partitions': { description: 'All mounted file systems on drives', payload: Type.Array(Partition), retained: true },
  },
  errors: {
    STORAGE_NO_DRIVE: 'This machine has no drive with health data.',
    STORAGE_TOOL_MISSING: 'A program that reads drives is missing: sudo apt install nvme-cli',
    STORAGE_PERMISSION: 'Patchbay may not read the health of the drive: patchbay doctor tells the command that mends it.',
    STORAGE_DRIVE_GONE: 'The drive was removed while it was read.',
    STORAGE_READ_FAILED: 'The drive or its file systems could not be read; try again.',
  },
})
