import { mkdir } from 'node:fs/promises'
import { extract, type ReadEntry } from 'tar'
import { feed } from '../feed.ts'
import { recordName } from './record.ts'

export interface Bounds {
  readonly files: number
  /** Of all files together. */
  readonly bytes: number
  readonly fileBytes: number
}

export interface Unpacked {
  /** What lay in the package and does not count here. */
  readonly leftOut: readonly string[]
  readonly bytes: number
}

const maxDepth = 16
const mebibyte = 1024 ** 2
/** What npm would heed in a package, and Patchbay does not: it settles these things itself. */
const unheeded: ReadonlySet<string> = new Set(['.npmrc', 'npm-shrinkwrap.json', 'package-lock.json', recordName])

/**
 * Unpacks an npm package (.tgz, all below one directory) into an empty or new directory that nobody else uses, and runs nothing. Only plain
 * files come out of it, with rights and times that are ours. Rejects at the first thing that has no place in a package; what was
 * written until then is the caller's to remove.
 */
export async function unpackPackage(archive: string, directory: string, { files, bytes, fileBytes }: Bounds): Promise<Unpacked> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const known = new Map<string, { readonly path: string; readonly isFile: boolean }>()
  const leftOut: string[] = []
  let [top, problem, count, sum] = [undefined as string | undefined, '', 0, 0]

  /** Each place in it, and the directories above, may be there once and in one spelling. */
  const clash = (path: string): string => {
    const segments = path.split('/')
    for (let depth = 1; depth <= segments.length; depth += 1) {
      const place = segments.slice(0, depth).join('/')
      const isFile = depth === segments.length
      const key = place.normalize('NFKC').toLowerCase()
      const other = known.get(key)
      if (other && (isFile || other.isFile)) return `${quote(path)} is in it twice`
      if (other && other.path !== place) return `${quote(place)} and ${quote(other.path)} differ in spelling only`
      known.set(key, { path: place, isFile })
    }
    return ''
  }
  const judge = ({ path, type, size }: ReadEntry): string => {
    if (++count > files) return `it holds more than ${files} files`
    if (type === 'Directory' || type === 'GNUDumpDir')
      return path.split('/').includes('..') ? `${quote(path)} leads out of it` : ''
    if (type !== 'File' && type !== 'OldFile') return `${quote(path)} is a ${type}; only files belong in a package`
    const [first = '', ...segments] = path.split('/')
    if (path.startsWith('/') || segments.some((segment) => segment === '..')) return `${quote(path)} leads out of it`
    top ??= first
    if (segments.length === 0 || first !== top) return `${quote(path)} lies beside the directory that holds the rest`
    if (segments.length > maxDepth) return `${quote(path)} lies deeper than ${maxDepth} directories`
    if (![first, ...segments].every(isPlain)) return `${quote(path)} is no name for a file`
    if (segments[0] === 'node_modules') return 'it brings node_modules of its own; Patchbay installs what package.json names'
    if (size > fileBytes) return `${quote(path)} is larger than ${fileBytes / mebibyte} MiB`
    sum += size
    if (sum > bytes) return `it holds more than ${bytes / mebibyte} MiB`
    return clash(segments.join('/'))
  }
  const filter = (_path: string, entry: object): boolean => {
    const { path, type, mode = 0 } = entry as ReadEntry
    problem ||= judge(entry as ReadEntry)
    if (problem || !/File$/.test(type)) return false
    const inside = path.slice(path.indexOf('/') + 1)
    if (unheeded.has(inside)) leftOut.push(inside)
    // Whoever runs Patchbay may read it, whoever may write here is its owner alone; no set-uid, and nothing of whom it belonged to.
    Object.assign(entry, { mode: mode & 0o111 ? 0o755 : 0o644 })
    return !unheeded.has(inside)
  }
  // Times are those of now: npm's are all from 1985, and a change is noticed by them.
  const sink = extract({ cwd: directory, strip: 1, strict: true, filter, dmode: 0o755, noMtime: true, preserveOwner: false })
  const most = { bytes: bytes * 1.5 + mebibyte, said: `${bytes / mebibyte} MiB` }
  await feed(archive, sink, { most, problem: () => problem, refuse: (why) => new Error(`The package is refused: ${why}.`) })
  return { leftOut, bytes: sum }
}

const isPlain = (name: string): boolean => /^[^\p{Cc}\\\ufffd]{1,255}$/u.test(name) && name !== '.' && name !== '..'
const quote = (path: string): string => JSON.stringify(path.slice(0, 100))
