import { lstat, mkdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Config } from '../../../core/config/config.ts'
import { resolvePaths } from '../../../core/config/paths.ts'
import { describeGrant, ungranted } from '../../../core/lifecycle/grants.ts'
import { clip } from '../../../core/lifecycle/problem.ts'
import type { Ask } from '../../../core/plugin/host-control.ts'
import { becomeOwnerOf } from '../become.ts'
import type { Installation } from '../main.ts'
import { readDisk } from '../without-daemon.ts'
import { type Installed, readRecord } from './record.ts'
import type { Source } from './source.ts'
import { type Staged, stage } from './staged.ts'
import { exchange, inWorkshop, place, remove, type Workshop } from './workshop.ts'

/** What came of installing a plugin. */
export interface Outcome {
  readonly id: string
  readonly version: string
  /** The version that was there before. Left out if there was no such plugin. */
  readonly before?: string
  /** False if this very package was there already. */
  readonly isNew: boolean
  readonly integrity: string
  readonly dependencies: number
  readonly enabled: boolean
  /** What it asks for and was not granted yet. */
  readonly asks: readonly Ask[]
  readonly notes: readonly string[]
}

/** The data directory, as somebody who may write there: whoever it belongs to, if root asks. */
export async function enterDataDir({ root }: Installation): Promise<string> {
  const { dataDir } = resolvePaths(process.env, root)
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await becomeOwnerOf(dataDir)
  // What others may read is decided by the data directory; discovery refuses what others may write.
  process.umask(0o022)
  return dataDir
}

/** Puts a plugin in place, or a newer one in the place of the same package; `id` is the one that it must have. */
export async function install(source: Source, installation: Installation, id?: string): Promise<Outcome> {
  const dataDir = await enterDataDir(installation)
  return inWorkshop(dataDir, async (workshop) => {
    const records = new Map((await installed(workshop.pluginsDir, installation)).map((each) => [each.record.integrity, each]))
    let same: string | undefined
    const staged = await stage(source, workshop.work, (integrity) => {
      same = records.get(integrity)?.id
      return same !== undefined
    })
    const config = await Config.open({ configDir: resolvePaths(process.env, installation.root).configDir, env: process.env })
    try {
      if (!staged) return await outcomeOf(same as string, workshop, installation, config)
      if (id !== undefined && staged.found.id !== id)
        throw new Error(`What came is called ${staged.found.id}, not ${id}. Nothing was changed.`)
      return await putInPlace(staged, workshop, installation, config)
    } finally {
      await config.close()
    }
  })
}

/** The plugins that were installed, by their directories' names, which are their ids. */
export async function installed(
  pluginsDir: string,
  installation: Installation,
): Promise<Array<{ id: string; record: Installed }>> {
  const { found } = await readDisk(installation)
  const all = found.filter(({ id, dir }) => dir === join(pluginsDir, id))
  const records = await Promise.all(all.map(async ({ id, dir }) => ({ id, record: await readRecord(dir) })))
  return records.flatMap(({ id, record }) => (record ? [{ id, record }] : []))
}

async function putInPlace(
  { dir, found: { contract, id }, record, notes }: Staged,
  workshop: Workshop,
  installation: Installation,
  config: Config,
): Promise<Outcome> {
  const target = join(workshop.pluginsDir, id)
  const before = await replaceable(target, record, installation)
  const entry = Object.hasOwn(config.plugins.plugins, id) ? config.plugins.plugins[id] : undefined
  const said = [...notes]
  await remove(workshop.previous(id))
  if (before) {
    await rename(dir, workshop.previous(id))
    await exchange(workshop.previous(id), target)
  } else {
    // Whoever switched on a plugin of this id has not seen this one.
    if (entry?.enabled) said.push('plugins.json had a plugin of this id switched on; it is off now.')
    await forgetConsent(id, config)
    await place(dir, target)
  }
  return {
    id,
    version: record.version,
    ...(before && { before: before.version }),
    isNew: true,
    integrity: record.integrity,
    dependencies: Object.keys(record.dependencies).length,
    enabled: before !== undefined && entry?.enabled === true,
    asks: ungranted(contract, before ? (entry?.grants ?? []) : []).map(describeGrant),
    notes: said,
  }
}

/** Takes back what an owner said about a plugin of this id; its settings stay. */
export async function forgetConsent(id: string, config: Config): Promise<void> {
  const entry = Object.hasOwn(config.plugins.plugins, id) ? config.plugins.plugins[id] : undefined
  if (entry?.enabled !== undefined) await config.update('plugins', ['plugins', id, 'enabled'], undefined)
  if (entry?.grants) await config.update('plugins', ['plugins', id, 'grants'], undefined)
}

/** What is installed at this place, if it is an earlier version of the same package; undefined if there is nothing. Rejects if it is another. */
async function replaceable(target: string, { name }: Installed, installation: Installation): Promise<Installed | undefined> {
  const id = basename(target)
  const { found } = await readDisk(installation)
  const other = found.find((each) => each.id === id && each.dir !== target)
  if (other)
    throw new Error(
      `The id ${id} belongs to ${other.builtin ? 'a plugin that comes with Patchbay' : clip(other.dir)}. Nothing was changed.`,
    )
  const record = await readRecord(target)
  if (record?.name === name) return record
  const isThere = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (!isThere) return undefined
  const who = record ? `belongs to the package ${clip(record.name)}` : 'is there already, and did not come by this command'
  throw new Error(
    `${target} ${who}. Nothing was changed. To take it away first: ${installation.commandName} plugins remove ${id}`,
  )
}

/** Of a plugin that is what it was. */
async function outcomeOf(id: string, { pluginsDir }: Workshop, installation: Installation, config: Config): Promise<Outcome> {
  const dir = join(pluginsDir, id)
  const [record, { found }] = [await readRecord(dir), await readDisk(installation)]
  const contract = found.find((each) => each.dir === dir)?.contract
  const { enabled = false, grants = [] } = config.plugins.plugins[id] ?? {}
  const { version = '', integrity = '', dependencies = {} } = record ?? {}
  const asks = contract ? ungranted(contract, grants).map(describeGrant) : []
  return {
    id,
    version,
    before: version,
    isNew: false,
    integrity,
    dependencies: Object.keys(dependencies).length,
    enabled,
    asks,
    notes: [],
  }
}
