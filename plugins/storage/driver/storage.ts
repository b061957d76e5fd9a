import { join } from 'node:path'
import { type Drive, type Health, isComplete, type Partition, type Smart, StorageFailure } from './drive.ts'
import { createHelper, type Helper } from './helper.ts'
import { type Mount, readMounts } from './mounts.ts'
import { readNvme } from './nvme.ts'
import { type Partitions, printable, readPartitions } from './partitions.ts'
import { readSmartctl } from './smartctl.ts'
import { type Facts, list, read, readFacts } from './sysfs.ts'
import type { Exec } from './tool.ts'
import { judge } from './verdict.ts'

/** All that could be read, and why the rest could not. */
export interface Reading {
  /** The first drive, the system's before others, that tells every field. */
  readonly health: Health | null
  /** The other drives. */
  readonly drives: Drive[]
  /** Every file system on a drive; null if none could be read. */
  readonly partitions: Partition[] | null
  readonly failure: StorageFailure | null
  /** Each drive that was asked, and why it did not answer. */
  readonly asked: ReadonlyArray<{ readonly device: string; readonly failure: StorageFailure | null }>
}

/** What drives are asked through: our own programs, and root's where ours are refused. */
interface Programs {
  readonly exec: Exec
  readonly helper: Helper
  /** Drives that only the helper can read: they are not tried again without it. */
  readonly helped: Set<string>
}

/**
 * Reads drives and file systems. While a read runs, every caller gets that one; who knows of a change asks `anew`, and gets one that
 * begins after it. `root` is `/` but in tests.
 */
export function createReader(exec: Exec, root = '/', helper = createHelper(root)): (how?: 'anew') => Promise<Reading> {
  const programs = { exec, helper, helped: new Set<string>() }
  let running: Promise<Reading> | undefined
  return async (how) => {
    if (how === 'anew') {
      await running?.catch(() => undefined)
      helper.forget()
    }
    running ??= readStorage(programs, root).finally(() => {
      running = undefined
    })
    return running
  }
}

/** Kernel names that go into argument lists; what holds no health data (memory cards, RAM disks, loops, volumes) is left out. */
export const DRIVE = /^(nvme\d{1,4}n\d{1,4}|sd[a-z]{1,3})$/

async function readStorage(programs: Programs, root: string): Promise<Reading> {
  const mounts = await readMounts(root)
  const system = new Set(mounts.find(({ target }) => target === '/')?.drives)
  const names = (await list(join(root, 'sys/block'))).filter((name) => DRIVE.test(name)).sort(bySystem(system))
  const [partitions, ...answers] = await Promise.all([
    readPartitions(programs.exec, mounts),
    ...names.map((name) => readDrive(programs, root, name)),
  ])
  const drives = answers.flatMap((answer) =>
    answer.facts ? tell(answer, answer.facts, system.has(answer.name), partitionsOf(mounts, partitions, answer.name)) : [],
  )
  const health = drives.find(isComplete) ?? null
  return {
    health,
    drives: drives.filter((drive) => drive !== health),
    partitions: partitions.failure && partitions.found.size === 0 ? null : [...partitions.found.values()],
    failure: (health ? null : whyNone(drives, answers)) ?? partitions.failure,
    asked: answers.flatMap(({ name, facts, failure }) => (facts || failure ? [{ device: `/dev/${name}`, failure }] : [])),
  }
}

const bySystem = (system: ReadonlySet<string>) => (a: string, b: string) =>
  Number(system.has(b)) - Number(system.has(a)) || a.localeCompare(b, 'en', { numeric: true })

const partitionsOf = (mounts: readonly Mount[], { found }: Partitions, drive: string) =>
  mounts.filter(({ drives }) => drives.includes(drive)).flatMap(({ target }) => found.get(printable(target)) ?? [])

interface Answer {
  readonly name: string
  /** Null when the drive has no health data, or left. */
  readonly facts: Facts | null
  /** Null when they could not be read; then `failure` says why. */
  readonly smart: Smart | null
  readonly failure: StorageFailure | null
}

async function readDrive(programs: Programs, root: string, name: string): Promise<Answer> {
  const device = `/dev/${name}`
  const nothing: Answer = { name, facts: null, smart: null, failure: null }
  const facts = await readFacts(root, name)
  if (facts.size === 0) return nothing // a card reader without a card
  try {
    const smart = await readSmart(programs, device, facts.protocol)
    if (smart) return { name, facts, smart, failure: null }
    if (await isPresent(root, name)) return nothing
  } catch (error) {
    if (!(error instanceof StorageFailure)) throw error
    if (await isPresent(root, name)) return { name, facts, smart: null, failure: error }
  }
  return { ...nothing, failure: new StorageFailure('STORAGE_DRIVE_GONE', `${device} was removed while it was read.`) }
}

async function readSmart({ exec, helper, helped }: Programs, device: string, protocol: Smart['protocol']): Promise<Smart | null> {
  const ask = (through: Exec) =>
    protocol === 'nvme' ? readNvme(through, device) : readSmartctl(through, device, protocol === 'ata' && through === exec)
  if (helped.has(device) && (await helper.problem()) === null) return ask(helper)
  try {
    return await ask(exec)
  } catch (error) {
    if (!(error instanceof StorageFailure && error.code === 'STORAGE_PERMISSION')) throw error
    const problem = await helper.problem()
    if (problem)
      throw new StorageFailure(error.code, `${error.message} ${problem.sentence}`, { cause: error.cause, mend: problem.mend })
    helped.add(device)
    return ask(helper)
  }
}

const isPresent = async (root: string, name: string) => (await read(join(root, 'sys/block', name, 'size'))) !== null

function tell({ name, smart, failure }: Answer, facts: Facts, system: boolean, partitions: Partition[]): Drive {
  const { passed, pendingSectors, ...told } = smart ?? facts
  return {
    device: `/dev/${name}`,
    system,
    partial: smart === null,
    ...told,
    model: told.model ?? facts.model,
    serial: told.serial ?? facts.serial,
    firmware: told.firmware ?? facts.firmware,
    temperature: told.temperature ?? facts.temperature,
    size: facts.size,
    ...(smart ? judge(smart) : { verdict: null, reason: failure?.message ?? '' }),
    partitions,
  }
}

/** Why no drive told all: the failure of the first that failed, or that there is none that could. */
function whyNone(drives: readonly Drive[], answers: readonly Answer[]): StorageFailure {
  const told = drives.map(({ device }) => device).join(', ')
  return (
    answers.find(({ failure }) => failure)?.failure ??
    new StorageFailure(
      'STORAGE_NO_DRIVE',
      told
        ? `No drive here tells everything that storage:health holds; what ${told} tells is in storage:drives.`
        : 'This machine has no drive with health data (memory cards, most USB sticks and virtual disks have none).',
    )
  )
}
