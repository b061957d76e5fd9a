import { isUtf8 } from 'node:buffer'
import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parseJsonc } from '../config/jsonc.ts'
import type { Contract } from '../plugin/contract.ts'
import { asObject, type Check, isObject, type Json, must, object, text } from './checks.ts'
import { checkContract, idPattern, loadContractCheck } from './contract-check.ts'
import { checkTrust, packageWalk } from './package-walk.ts'
import { absent, clip, Problem, sentenceOf } from './problem.ts'

/** A plugin package as it lies on the disk. Nothing of it has been run. */
export interface Found {
  readonly dir: string
  /** It lies in the directory of those that come with Patchbay. */
  readonly builtin: boolean
  /** From its contract; the directory's name where that cannot be read. */
  readonly id: string
  /** From its package.json; empty where that cannot be read. Text from outside. */
  readonly version: string
  readonly description?: string
  /** Absolute path of the file to import. */
  readonly entry?: string
  readonly contract?: Contract
  /** Absolute path of the folder that its panel is in, if it says that it has one. */
  readonly panel?: string
  /** Changes with the package's files. */
  readonly digest?: string
  /** Why it cannot be used and what mends it. Without it `entry`, `contract` and `digest` are there. */
  readonly problem?: string
  /** A sentence: this is a copy of an earlier version, and why. */
  readonly standsIn?: string
}

const stillCopied = 'is it still being copied?'

/** Reads a package and runs nothing of it. Undefined if the directory is no plugin: no package.json, or none with a `patchbay` field. */
export async function readPackage(dir: string, { builtin }: { builtin: boolean }): Promise<Found | undefined> {
  let found: Found = { dir, builtin, id: basename(dir), version: '' }
  try {
    const stats = await lstat(dir).catch(absent)
    if (!stats) return undefined
    if (stats.isSymbolicLink()) checkTrust(stats, 'the package directory', builtin)
    const manifest = await readJson(dir, 'package.json', 64)
    if (!isObject(manifest) || manifest.patchbay === undefined) return undefined
    found = { ...found, version: clip(String(manifest.version ?? '')) }
    const paths = checkManifest(manifest)
    const digest = await packageWalk(dir, { builtin })
    const contract = await readJson(dir, paths.contract, 256)
    if (contract === undefined) throw new Problem(`its contract ${paths.contract} is missing; ${stillCopied}`)
    if (isObject(contract) && idPattern.test(String(contract.id))) found = { ...found, id: String(contract.id) }
    const data = asObject(contract, paths.contract) as unknown as Contract
    // The tests have checked the contracts of what comes with Patchbay; not doing it again makes the start quicker.
    if (!builtin) {
      await loadContractCheck()
      const wrong = checkContract(contract, { builtin })
      if (wrong !== undefined) throw new Problem(`${paths.contract}: ${wrong}`)
    }
    const entry = await lstat(join(dir, paths.main)).catch(absent)
    if (!entry?.size) throw new Problem(`its entry file ${paths.main} is ${entry ? 'empty' : 'missing'}; ${stillCopied}`)
    if (!entry.isFile()) throw new Problem(`"main" in package.json names ${paths.main}, which is not a file; name one`)
    const { description } = data
    return {
      ...found,
      ...(description && { description }),
      entry: join(dir, paths.main),
      ...(paths.panel && { panel: join(dir, paths.panel) }),
      contract: data,
      digest,
    }
  } catch (error) {
    return { ...found, problem: sentenceOf(error) }
  }
}

const filled = text(/./, 'a text, not empty')
const path = text(
  /^(?!.*(^|\/)(\.\.|node_modules|\.git)(\/|$))[^/\\\0][^\\\0]{0,255}$/,
  'a relative path to a place inside the package',
)
const api: Check = (value, at) => must(value === 1, at, 'be 1, the plugin API that this host knows; install a fitting version')
const plugin = object({ api, contract: path, panel: path }, 'api', 'contract')

function checkManifest({ name, version, type, main = './index.js', patchbay }: Json): {
  main: string
  contract: string
  panel: string
} {
  plugin(patchbay, 'package.json: patchbay')
  for (const [key, value] of Object.entries({ name, version })) filled(value, `package.json: ${key}`)
  path(main, 'package.json: main')
  must(type === 'module' || String(main).endsWith('.mjs'), 'package.json: type', 'be "module"; or name the entry .mjs')
  const { contract, panel = '' } = asObject(patchbay, 'patchbay')
  return { main: String(main), contract: String(contract), panel: String(panel) }
}

/** The value of a JSON file; undefined if there is no such file. Neither a link nor a pipe is opened to the end. */
export async function readJson(dir: string, path: string, maxKiB: number): Promise<unknown> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await open(join(dir, path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(absent)
  if (file === undefined) return undefined
  try {
    const stats = await file.stat()
    if (!stats.isFile()) throw new Problem(`${path} is not a regular file; put one in its place`)
    if (stats.size > maxKiB * 1024) throw new Problem(`${path} is larger than ${maxKiB} KiB; make it smaller`)
    // Not readFile: what grows meanwhile is not read on and on.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(stats.size), 0, stats.size, 0)
    return parseJson(buffer.subarray(0, bytesRead), path)
  } finally {
    await file.close()
  }
}

/** Refuses more than JSON.parse: keys given twice, `__proto__`, endless nesting. And it tells the line. */
function parseJson(bytes: Buffer, path: string): unknown {
  if (!isUtf8(bytes)) throw new Problem(`${path} is not UTF-8 text; save it as such`)
  const json = bytes.toString()
  for (const { offset, message } of parseJsonc(json).faults)
    throw new Problem(`${path}, line ${json.slice(0, offset).split('\n').length}: ${message}; mend it, or ${stillCopied}`)
  try {
    return JSON.parse(json)
  } catch {
    throw new Problem(`${path} has comments or a trailing comma, which JSON does not allow; remove them`)
  }
}
