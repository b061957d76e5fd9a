import { realpath } from 'node:fs/promises'
import * as nodeModule from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { entriesLike, isWithin, outermost, resolved, withoutWaysOut } from './paths.ts'

/** What a plugin's process is for, and with it what is opened to it. */
export interface Doors {
  /** The package. */
  readonly dir: string
  /** All that its contract asks for, as in plugins.json: otherwise it does not run. */
  readonly grants: readonly string[]
  /** The file that the process runs. What lies beside it is Patchbay's own code. */
  readonly program: string
  /** A directory of its own, which it may write. */
  readonly scratch: string
  /** Where `policy()` was written, which Node 20 needs. */
  readonly policyFile: string
  /** Its channel is a socket that it connects to. */
  readonly connects: boolean
  /** Patchbay's configuration and data: no grant opens these. */
  readonly closed: readonly string[]
  /** Where it keeps its store, if it has one. */
  readonly storeDir?: string | undefined
}

const has = (flag: string): boolean => process.allowedNodeEnvironmentFlags.has(flag)
const canHook = 'registerHooks' in nodeModule
const permission = ['--permission', '--experimental-permission'].find(has)

/**
 * Whether this Node.js can hold a plugin's process back: it has permissions, and a way to resolve `patchbay/plugin` without a second
 * thread, which would be outside of them. So do Node 20 (the policy file) and 22.15 and newer (hooks).
 */
export const hasPermissions: boolean = permission !== undefined && (canHook || has('--experimental-policy'))

/**
 * The arguments with which Node.js opens these doors and no others. Rejects with a sentence if a grant would open what is Patchbay's own.
 */
export async function nodeArguments(doors: Doors): Promise<string[]> {
  if (!hasPermissions) return []
  const { dir, grants, program, scratch, policyFile, connects, closed, storeDir } = doors
  const granted = (kind: string) =>
    grants.filter((grant) => grant.startsWith(`${kind}:`)).map((grant) => grant.slice(kind.length + 1))
  const [reads, writes] = [granted('file-read'), granted('file-write')]
  for (const path of [...reads, ...writes]) await mustLeaveAlone(path, closed)
  const devices = (await Promise.all(granted('device').map(entriesLike))).flat()
  const [own, itself] = [await withoutWaysOut(dir), dirname(await resolved(program))]
  const stores = storeDir !== undefined
  const mayWrite = [scratch, ...writes, ...devices, ...(stores ? [storeDir] : [])]
  const libraries = [await libraryFor(itself, 'typebox'), ...(stores ? [await libraryFor(itself, '@libsql')] : [])].flat()
  const mayRead = [...own, itself, ...libraries, ...(canHook ? [] : [policyFile]), ...reads, ...mayWrite]
  const doesNative = stores || grants.includes('addons')
  const talks = connects || grants.includes('network') || granted('dbus').length > 0
  return [
    permission as string,
    '--disable-warning=ExperimentalWarning',
    '--disable-warning=SecurityWarning',
    ...outermost(mayRead).map((path) => `--allow-fs-read=${path}`),
    ...outermost(mayWrite).map((path) => `--allow-fs-write=${path}`),
    ...(granted('exec').length > 0 ? ['--allow-child-process'] : []),
    ...(doesNative ? ['--allow-addons'] : []),
    // Node 25 and newer; before that no flag closes the network.
    ...(talks && has('--allow-net') ? ['--allow-net'] : []),
    // It opens any file, whatever the permissions are (Node 24.21).
    ...(!doesNative && has('--experimental-sqlite') ? ['--no-experimental-sqlite'] : []),
    ...(has('--disable-sigusr1') ? ['--disable-sigusr1'] : []),
    ...(canHook ? [] : [`--experimental-policy=${policyFile}`]),
  ]
}

/** What lies beside Patchbay's own code: where a module in this directory finds a library, and where that really lies. */
async function libraryFor(directory: string, name: string): Promise<string[]> {
  const path = join(directory, 'node_modules', name)
  const real = await realpath(path).catch(() => undefined)
  if (real === undefined) return directory === '/' ? [] : libraryFor(dirname(directory), name)
  // Node.js also reads a link on its way (a checkout that shares its packages with another).
  return [path, real, ...(real === path ? [] : [dirname(path)])]
}

/** What the policy file of Node 20 says: to this package `patchbay/plugin` means the module beside the program. */
export async function policy(dir: string, program: string): Promise<string> {
  const apiUrl = new URL('./plugin.js', pathToFileURL(program)).href
  const any = { integrity: true, dependencies: true }
  const here = { integrity: true, cascade: true, dependencies: { 'patchbay/plugin': apiUrl } }
  return JSON.stringify({ scopes: { 'file:': any, 'data:': any, [`${pathToFileURL(await resolved(dir)).href}/`]: here } })
}

async function mustLeaveAlone(path: string, closed: readonly string[]): Promise<void> {
  const real = await resolved(path)
  for (const own of await Promise.all(closed.map(resolved)))
    if (isWithin(real, own) || isWithin(own, real))
      throw new Error(`It asks for ${path}, which would open ${own} to it: that is Patchbay's own.`)
}
