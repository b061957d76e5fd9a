/** What a drive tells of its health, named and in the units of the Pi Manager contract's StorageHealth. Null: it does not tell. */
export const COUNTERS = [
  'temperature',
  'percentageUsed',
  'powerOnHours',
  'dataUnitsWritten',
  'dataUnitsRead',
  'mediaErrors',
  'unsafeShutdowns',
  'errorLogEntries',
  'availableSpare',
  'availableSpareThreshold',
  'criticalWarning',
] as const
export type Counters = Record<(typeof COUNTERS)[number], number | null>

/** The answer of one drive. */
export interface Smart extends Counters {
  readonly protocol: Protocol
  readonly model: string | null
  readonly serial: string | null
  readonly firmware: string | null
  /** The drive's own overall verdict, where it gives one (ATA, SCSI). */
  readonly passed: boolean | null
  /** Sectors that could not be read and wait for a write (ATA). */
  readonly pendingSectors: number | null
}

export type Protocol = 'nvme' | 'ata' | 'scsi'

/** One mounted file system; sizes in bytes, `percent` as df rounds it (up). */
export interface Partition {
  readonly device: string
  readonly mount: string
  readonly filesystem: string
  readonly size: number
  readonly used: number
  readonly percent: number
}

export interface Judgement {
  readonly verdict: 'good' | 'worn' | 'failing' | null
  readonly reason: string
}

/** A drive as it is told to clients. */
export interface Drive extends Counters, Judgement {
  readonly device: string
  readonly protocol: Protocol
  /** It holds the file system `/`. */
  readonly system: boolean
  /** Only what the kernel says of it, because its health could not be read; `reason` says why. */
  readonly partial: boolean
  readonly model: string | null
  readonly serial: string | null
  readonly firmware: string | null
  /** Bytes. */
  readonly size: number
  readonly partitions: Partition[]
}

type Told = Counters & Judgement & Pick<Drive, 'model' | 'serial' | 'firmware'>
/** A drive of which every field of StorageHealth is known. */
export type Health = Omit<Drive, keyof Told> & { readonly [K in keyof Told]: NonNullable<Told[K]> }

export function isComplete(drive: Drive): drive is Health {
  const told = [drive.model, drive.serial, drive.firmware, drive.verdict, ...COUNTERS.map((name) => drive[name])]
  return told.every((value) => value !== null)
}

export type FailureCode =
  | 'STORAGE_NO_DRIVE'
  | 'STORAGE_TOOL_MISSING'
  | 'STORAGE_PERMISSION'
  | 'STORAGE_DRIVE_GONE'
  | 'STORAGE_READ_FAILED'

/** Why something could not be read, with a sentence for people. */
export class StorageFailure extends Error {
  readonly code: FailureCode
  /** A command to paste. */
  readonly mend: string | undefined
  constructor(code: FailureCode, message: string, { cause, mend }: { cause?: unknown; mend?: string } = {}) {
    super(message, { cause })
    this.code = code
    this.mend = mend
  }
}
