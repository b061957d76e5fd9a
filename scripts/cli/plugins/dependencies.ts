import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asObject } from '../../../core/lifecycle/checks.ts'
import { clip } from '../../../core/lifecycle/problem.ts'
import type { Npm } from './npm.ts'
import type { Installed } from './record.ts'
import { integrityOf, npmName } from './source.ts'
import { unpackPackage } from './unpack-package.ts'

/** Of one dependency, and of all together. */
const bounds = { files: 20_000, bytes: 512 * 1024 ** 2, fileBytes: 256 * 1024 ** 2 }
const maxPackages = 500
const place = /^node_modules\/((@[\w~-][\w.~-]*\/)?[\w~-][\w.~-]*)(\/node_modules\/(@[\w~-][\w.~-]*\/)?[\w~-][\w.~-]*){0,15}$/
/** A version, a range or a tag, and a package of the registry under another name. No address, no path. */
const wanted = /^[\w.+~^<>=|*\s-]{0,200}$/
const alias = /^npm:(@?[^@]+)(?:@(.*))?$/

interface Locked {
  readonly name?: string
  readonly version?: string
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly inBundle?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly libc?: readonly string[]
}

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: unknown
  readonly optionalDependencies?: unknown
}

/** What was put into `node_modules`. */
export interface Added {
  readonly packages: Installed['dependencies']
  /** The names of those that would have run a script while they were installed. */
  readonly withScripts: readonly string[]
}

/**
 * Puts what a package depends on into its `node_modules`, by a lock that is made here and now: npm resolves and fetches, Patchbay
 * unpacks. Rejects with a sentence.
 */
export async function addDependencies(directory: string, manifest: Manifest, npm: () => Promise<Npm>): Promise<Added> {
  const dependencies = judged(manifest.dependencies, 'dependencies')
  const optionalDependencies = judged(manifest.optionalDependencies, 'optionalDependencies')
  if (Object.keys({ ...dependencies, ...optionalDependencies }).length === 0) return { packages: {}, withScripts: [] }
  const client = await npm()
  await client.lock({ dependencies, optionalDependencies })
  const locked = forThisMachine(review(JSON.parse(await readFile(join(client.dir, 'package-lock.json'), 'utf8')) as object))
  if (locked.length === 0) return { packages: {}, withScripts: [] }
  const specs = locked.map(([at, { name = nameOf(at), version }]) => `${name}@${version}`)
  await client.run('pack', ...new Set(specs))
  const files = await byIntegrity(client.dir)
  let left = bounds.bytes
  for (const [at, { integrity = '' }] of locked) {
    const file = files.get(integrity)
    if (!file) throw new Error(`npm did not fetch ${clip(at)} as the registry announced it.`)
    const { bytes } = await unpackPackage(file, join(directory, at), { ...bounds, bytes: left })
    left -= bytes
  }
  return {
    packages: Object.fromEntries(locked.map(([at, { version = '', integrity = '' }]) => [at, { version, integrity }])),
    withScripts: [...new Set(locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([at]) => nameOf(at)))],
  }
}

/** What a package names in this field, as far as npm is to see it: packages of the registry. The host itself provides `patchbay`. */
function judged(field: unknown, at: string): Record<string, string> {
  if (field === undefined) return {}
  const pairs = Object.entries(asObject(field, `package.json: ${at}`)).filter(([name]) => name !== 'patchbay')
  for (const [name, spec] of pairs) {
    const [, other, range = ''] = alias.exec(String(spec)) ?? []
    const fits = other === undefined ? wanted.test(String(spec)) : npmName.test(other) && wanted.test(range)
    if (typeof spec !== 'string' || !npmName.test(name) || !fits)
      throw new Error(
        `Its dependency ${clip(name)} is to come from ${clip(String(spec))}; only packages of npm's registry are installed.`,
      )
  }
  return Object.fromEntries(pairs) as Record<string, string>
}

type Entries = ReadonlyArray<readonly [at: string, Locked]>

/** Only what comes from the registry and can be checked has a place in the lock. */
function review({ packages = {} }: { readonly packages?: Readonly<Record<string, Locked>> }): Entries {
  const entries = Object.entries(packages).filter(([at]) => at !== '')
  if (entries.length > maxPackages) throw new Error(`It depends on ${entries.length} packages; ${maxPackages} are allowed.`)
  for (const [at, { link, inBundle, resolved = '', integrity = '', version = '', name = nameOf(at) }] of entries) {
    const refuse = (why: string) => {
      throw new Error(`What it depends on is refused: ${clip(at)} ${why}.`)
    }
    if (inBundle) refuse('lies inside another package')
    if (link || !place.test(at) || !/^https?:/.test(resolved) || !npmName.test(name)) refuse('does not come from the registry')
    if (!/^\d[\w.+-]{0,100}$/.test(version)) refuse('has no version')
    if (!/^sha512-[\w+/]{86}==$/.test(integrity)) refuse('is not announced with a SHA-512 hash, and cannot be checked')
  }
  return entries
}

/** Without the optional ones that are for other machines, and what lies in these. */
function forThisMachine(entries: Entries): Entries {
  // Or else it looks up the names of all who are connected.
  Object.assign(process.report, { excludeNetwork: true })
  const { glibcVersionRuntime } = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header
  const libc = glibcVersionRuntime ? 'glibc' : 'musl'
  const foreign = entries
    .filter(([, entry]) => !fits(entry.os, process.platform) || !fits(entry.cpu, process.arch) || !fits(entry.libc, libc))
    .map(([at, { optional }]) => {
      if (!optional)
        throw new Error(
          `It depends on ${clip(nameOf(at))}, which is not for this machine (${process.platform}, ${process.arch}).`,
        )
      return at
    })
  return entries.filter(([at]) => !foreign.some((other) => at === other || at.startsWith(`${other}/`)))
}

/** As npm reads `os`, `cpu` and `libc`: any of these, or none of those with a `!`. */
function fits(list: readonly string[] | undefined, value: string): boolean {
  const names = [list ?? []].flat()
  if (names.includes(`!${value}`)) return false
  return names.includes(value) || names.includes('any') || names.every((name) => name.startsWith('!'))
}

async function byIntegrity(dir: string): Promise<ReadonlyMap<string, string>> {
  const files = (await readdir(dir)).filter((name) => name.endsWith('.tgz')).map((name) => join(dir, name))
  return new Map(await Promise.all(files.map(async (file) => [await integrityOf(file), file] as const)))
}

const nameOf = (at: string): string => at.replace(/^.*node_modules\//, '')
