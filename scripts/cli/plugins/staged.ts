import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Found, readPackage } from '../../../core/lifecycle/read-package.ts'
import { addDependencies, type Manifest } from './dependencies.ts'
import { Npm } from './npm.ts'
import { type Installed, recordName } from './record.ts'
import { integrityOf, maxPacked, type Source } from './source.ts'
import { unpackPackage } from './unpack-package.ts'

/** What discovery allows, told before anything is in place. */
const bounds = { files: 2000, bytes: 128 * 1024 ** 2, fileBytes: 8 * 1024 ** 2 }

/** A plugin ready to be put in place. Nothing of it has been run. */
export interface Staged {
  readonly dir: string
  readonly found: Found & { readonly contract: NonNullable<Found['contract']> }
  readonly record: Installed
  /** Sentences: what of it does not count here. */
  readonly notes: readonly string[]
}

/**
 * Fetches a plugin and what it depends on into `work`, and judges it as discovery will. `isThere` is asked before its dependencies are
 * fetched, with the integrity of what came; if it says so, there is nothing to be done and the result is undefined.
 */
export async function stage(source: Source, work: string, isThere: (integrity: string) => boolean): Promise<Staged | undefined> {
  let npm: Npm | undefined
  const open = async () => (npm ??= await Npm.open(await newDirectory(work, 'npm')))
  try {
    const archive = join(work, 'package.tgz')
    if (source.source === 'npm') await fetch(await open(), source.from, archive)
    else await source.save(archive)
    const integrity = await integrityOf(archive)
    if (isThere(integrity)) return undefined

    const dir = join(work, 'package')
    const { leftOut } = await unpackPackage(archive, dir, bounds)
    const found = await readPackage(dir, { builtin: false })
    if (!found) throw new Error('It is no plugin of Patchbay: its package.json has no "patchbay" field, or there is none.')
    const { problem, contract } = found
    if (!contract || problem !== undefined) throw new Error(`It is no plugin that can run here: ${problem}.`)
    const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as Manifest
    const { packages, withScripts } = await addDependencies(dir, manifest, open)

    const { name, version } = manifest
    const { source: kind, from } = source
    const record: Installed = {
      source: kind,
      from,
      name,
      version,
      integrity,
      dependencies: packages,
      at: new Date().toISOString(),
    }
    await writeFile(join(dir, recordName), `${JSON.stringify(record, undefined, 2)}\n`)
    const notes = [
      ...leftOut.map((file) => `Its ${file} does not count here and was left out.`),
      ...withScripts.map((name) => `${name}, which it depends on, wanted to run a script; it did not, and may not work without.`),
    ]
    return { dir, found: { ...found, contract }, record, notes }
  } finally {
    npm?.close()
  }
}

/** Fetches a package from the registry as it is, by its name. */
async function fetch(npm: Npm, spec: string, to: string): Promise<void> {
  await npm.run('pack', spec)
  const [file] = (await readdir(npm.dir)).filter((name) => name.endsWith('.tgz'))
  if (file === undefined) throw new Error(`npm did not fetch ${spec}.`)
  await rename(join(npm.dir, file), to)
  if ((await stat(to)).size > maxPacked) throw new Error(`${spec} is larger than 64 MiB.`)
}

async function newDirectory(...path: string[]): Promise<string> {
  const dir = join(...path)
  await mkdir(dir, { mode: 0o700 })
  return dir
}
