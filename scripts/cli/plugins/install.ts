import { lstat, mkdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Config } from '../../../core/config/config.ts'
import { resolvePaths } from '../../../core/config/paths.ts'
import type { PluginEntry } from '../../../core/config/types.ts'
import { describeGrant, ungranted } from '../../../core/lifecycle/grants.ts'
import { clip } from '../../../core/lifecycle/problem.ts'
import type { Found } from '../../../core/lifecycle/read-package.ts'
import type { Ask } from '../../../core/plugin/host-control.ts'
import { becomeOwnerOf } from '../become.ts'
import type { Installation } from '../main.ts'
import { readDisk } from '../without-daemon.ts'
import { Npm } from './npm.ts'
import { type Installed, readRecord } from './record.ts'
import type { Source } from './source.ts'
import { fetchPackage, type Staged, unpackPlugin } from './staged.ts'
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

interface Place extends Workshop {
  readonly found: readonly Found[]
  readonly config: Config
  readonly commandName: string
}

/** Puts a plugin in place, or a newer one in the place of the same package; `id` is the one that it must have. */
export async function install(source: Source, installation: Installation, id?: string): Promise<Outcome> {
  const dataDir = await enterDataDir(installation)
  return inWorkshop(dataDir, async (workshop) => {
    const config = await openConfig(installation)
    const { found } = await readDisk(installation)
    const here: Place = { ...workshop, found, config, commandName: installation.commandName }
    const known = await installed(here.pluginsDir, found)
    let npm: Npm | undefined
    const open = async () => (npm ??= await Npm.open(join(here.work, 'npm')))
    try {
      const integrity = await fetchPackage(source, here.work, open)
      const same = known.find(({ record }) => record.integrity === integrity)
      if (same) return outcomeOf(same.found, same.record, { config, before: same.record, isNew: false, notes: [] })
      const staged = await unpackPlugin(source, integrity, here.work, open)
      if (id !== undefined && staged.found.id !== id)
        throw new Error(`What came is called ${staged.found.id}, not ${id}. Nothing was changed.`)
      return await putInPlace(staged, here)
    } finally {
      npm?.close()
    }
  })
}

/** The configuration as it is now, not watched. */
export function openConfig({ root }: Installation): Promise<Config> {
  return Config.open({ configDir: resolvePaths(process.env, root).configDir, env: process.env })
}

/** Those of the plugins found that were installed. Their directories have their ids for names. */
export async function installed(
  pluginsDir: string,
  found: readonly Found[],
): Promise<Array<{ readonly id: string; readonly found: Found; readonly record: Installed }>> {
  const all = found.filter(({ id, dir }) => dir === join(pluginsDir, id))
  const records = await Promise.all(all.map(async (each) => ({ found: each, record: await readRecord(each.dir) })))
  return records.flatMap(({ found, record }) => (record ? [{ id: found.id, found, record }] : []))
}

async function putInPlace({ dir, found, record, notes }: Staged, here: Place): Promise<Outcome> {
  const { pluginsDir, previous, config } = here
  const { id } = found
  const target = join(pluginsDir, id)
  const before = await replaceable(target, record, here)
  const said = [...notes]
  await remove(previous(id))
  if (before) {
    await rename(dir, previous(id))
    await exchange(previous(id), target)
  } else {
    // Whoever switched on a plugin of this id has not seen this one.
    if (entryOf(config, id).enabled) said.push('plugins.json had a plugin of this id switched on; it is off now.')
    await forgetConsent(id, config)
    await place(dir, target)
  }
  return outcomeOf(found, record, { config, ...(before && { before }), isNew: true, notes: said })
}

/** What plugins.json says of a plugin. */
export function entryOf({ plugins: { plugins } }: Config, id: string): Partial<PluginEntry> {
  return (Object.hasOwn(plugins, id) && plugins[id]) || {}
}

/** Takes back what an owner said about a plugin of this id; its settings stay. */
export async function forgetConsent(id: string, config: Config): Promise<void> {
  const { enabled, grants } = entryOf(config, id)
  if (enabled !== undefined) await config.update('plugins', ['plugins', id, 'enabled'], undefined)
  if (grants) await config.update('plugins', ['plugins', id, 'grants'], undefined)
}

/** What is installed at this place, if it is an earlier version of the same package; undefined if there is nothing. Rejects if it is another. */
async function replaceable(target: string, { name }: Installed, { found, commandName }: Place): Promise<Installed | undefined> {
  const id = basename(target)
  const other = found.find((each) => each.id === id && each.dir !== target)
  const who = other?.builtin ? 'a plugin that comes with Patchbay' : clip(other?.dir ?? '')
  if (other) throw new Error(`The id ${id} belongs to ${who}. Nothing was changed.`)
  const record = await readRecord(target)
  if (record?.name === name) return record
  const isThere = await lstat(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  if (!isThere) return undefined
  const why = record ? `belongs to the package ${clip(record.name)}` : 'is there already, and did not come by this command'
  throw new Error(`${target} ${why}. Nothing was changed. To take it away first: ${commandName} plugins remove ${id}`)
}

function outcomeOf(
  { id, contract }: Found,
  { version, integrity, dependencies }: Installed,
  { config, before, isNew, notes }: { config: Config; before?: Installed; isNew: boolean; notes: readonly string[] },
): Outcome {
  const { enabled = false, grants = [] } = entryOf(config, id)
  return {
    id,
    version,
    ...(before && { before: before.version }),
    isNew,
    integrity,
    dependencies: Object.keys(dependencies).length,
    enabled,
    asks: contract ? ungranted(contract, grants).map(describeGrant) : [],
    notes,
  }
}
