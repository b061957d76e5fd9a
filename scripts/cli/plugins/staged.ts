import { readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Found, readPackage } from '../../../core/lifecycle/read-package.ts'
import { addDependencies, type Manifest } from './dependencies.ts'
import type { Npm } from './npm.ts'
import { type Installed, recordName } from './record.ts'
import { integrityOf, maxPacked, type Source } from './source.ts'
import { unpackPackage } from './unpack-package.ts'

/** What discovery allows, told before anything is in place. */
const bounds = { files: 2000, bytes: 128 * 1024 ** 2, fileBytes: 8 * 1024 ** 2 }

/** A plugin ready to be put in place. Nothing of it has been run. */
export interface Staged {
  readonly dir: string
  readonly found: Found
  readonly record: Installed
  /** Sentences: what of it does not count here. */
  readonly notes: readonly string[]
}

const archiveIn = (work: string): string => join(work, 'package.tgz')

/** Fetches a package into `work` as it is. Resolves with its SHA-512. */
export async function fetchPackage(source: Source, work: string, npm: () => Promise<Npm>): Promise<string> {
  const archive = archiveIn(work)
  if (source.source === 'npm') await fromRegistry(await npm(), source.from, archive)
  else await source.save(archive)
  return integrityOf(archive)
}

/** Unpacks the package that was fetched, judges it as discovery will, and adds what it depends on. Rejects with a sentence. */
export async function unpackPlugin(source: Source, integrity: string, work: string, npm: () => Promise<Npm>): Promise<Staged> {
  const dir = join(work, 'package')
  const { leftOut } = await unpackPackage(archiveIn(work), dir, bounds)
  const found = await readPackage(dir, { builtin: false })
  if (!found) throw new Error('It is no plugin of Patchbay: its package.json has no "patchbay" field, or there is none.')
  if (found.problem !== undefined) throw new Error(`It is no plugin that can run here: ${found.problem}.`)
  const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as Manifest
  const { packages, withScripts } = await addDependencies(dir, manifest, npm)

  const { name, version } = manifest
  const { source: kind, from } = source
  const record: Installed = { source: kind, from, name, version, integrity, dependencies: packages, at: new Date().toISOString() }
  await writeFile(join(dir, recordName), `${JSON.stringify(record, undefined, 2)}\n`)
  const notes = [
    ...leftOut.map((file) => `Its ${file} does not count here and was left out.`),
    ...withScripts.map(
      (script) => `${script}, which it depends on, wanted to run a script; it did not, and may not work without.`,
    ),
  ]
  return { dir, found, record, notes }
}

async function fromRegistry(npm: Npm, spec: string, to: string): Promise<void> {
  await npm.run('pack', spec)
  const [file] = (await readdir(npm.dir)).filter((name) => name.endsWith('.tgz'))
  if (file === undefined) throw new Error(`npm did not fetch ${spec}.`)
  await rename(join(npm.dir, file), to)
  if ((await stat(to)).size > maxPacked) throw new Error(`${spec} is larger than 64 MiB.`)
}
