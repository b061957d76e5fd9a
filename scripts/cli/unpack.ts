import { extract, Parser, type ReadEntry } from 'tar'
import { configNames, format, isKept, type Manifest, manifestName, most } from './backup-format.ts'
import { feed, type Reading } from './feed.ts'

/** Reads a backup to its end without writing anything. Rejects with a sentence if anything in it is not as `backup` makes it. */
export async function judge(archive: string): Promise<Manifest> {
  const names = new Set<string>()
  let [bytes, problem, text] = [0, '', '']
  const look = (entry: ReadEntry) => {
    bytes += entry.size
    problem ||= faultOf(entry, names)
    if (names.size === 0 && entry.path !== manifestName) problem ||= 'it does not begin with what every backup begins with'
    names.add(entry.path)
    if (names.size > most.entries) problem ||= `it has more than ${most.entries} files`
    if (bytes > most.bytes) problem ||= 'it holds more than 1 GiB'
    if (entry.path === manifestName && entry.size > most.manifestBytes) problem ||= `${manifestName} is too large`
    if (entry.path === manifestName && !problem) entry.on('data', (chunk) => (text += String(chunk)))
    else entry.resume()
  }
  await feed(
    archive,
    new Parser({ strict: true, onReadEntry: look }),
    reading(() => problem),
  )
  return manifestOf(text)
}

/** Unpacks what was judged into an empty directory. Nothing gets any rights but its owner's. */
export async function unpack(archive: string, directory: string): Promise<void> {
  const names = new Set<string>()
  let problem = ''
  const filter = (_path: string, entry: object) => {
    const { path, mode = 0 } = entry as ReadEntry
    // It is the file that was judged; should it have become another one, this holds as well.
    problem ||= faultOf(entry as ReadEntry, names)
    names.add(path)
    Object.assign(entry, { mode: 0o600 | (mode & 0o100) })
    return problem === ''
  }
  await feed(
    archive,
    extract({ cwd: directory, strict: true, filter, dmode: 0o700, preserveOwner: false }),
    reading(() => problem),
  )
}

/** Names and padding count beside the files. */
const reading = (problem: () => string): Reading => ({
  most: { bytes: most.bytes * 1.5, said: '1 GiB' },
  problem,
  refuse: notOurs,
})

/** Why this entry cannot be one of a backup; empty if it can. */
function faultOf({ path, type, size }: ReadEntry, names: ReadonlySet<string>): string {
  const shown = JSON.stringify(path.slice(0, 100))
  if (type !== 'File' && type !== 'OldFile') return `${shown} is a ${type}, and only files belong in it`
  if (names.has(path)) return `${shown} is in it twice`
  if (path === manifestName) return ''
  const [top, ...segments] = path.split('/')
  const [name = ''] = segments
  if (top === 'config' && segments.length === 1 && configNames.includes(name) && size <= most.configBytes) return ''
  const isPlain = (segment: string) => /^[^\p{Cc}\\]{1,255}$/u.test(segment) && segment !== '.' && segment !== '..'
  if (top === 'data' && segments.length <= most.depth && segments.every(isPlain) && isKept(name)) return ''
  return `${shown} does not belong in it`
}

function manifestOf(text: string): Manifest {
  let manifest: Partial<Manifest> | null = null
  try {
    manifest = JSON.parse(text) as Partial<Manifest> | null
  } catch {
    throw notOurs(`${manifestName} is no JSON`)
  }
  if (typeof manifest?.format !== 'number') throw notOurs(`${manifestName} names no format`)
  if (manifest.format !== format)
    throw new Error(
      `This backup has format ${manifest.format}; this version of Patchbay knows format ${format}. Install the newer version first.`,
    )
  return { format, version: String(manifest.version), host: String(manifest.host), time: String(manifest.time) }
}

function notOurs(why: string): Error {
  return new Error(`This is no backup of Patchbay's, or it is damaged: ${why}. Nothing was changed.`)
}
