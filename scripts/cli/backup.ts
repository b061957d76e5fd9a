import { constants, createWriteStream } from 'node:fs'
import { lstat, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { Header, Pack, ReadEntry } from 'tar'
import { resolvePaths } from '../../core/config/paths.ts'
import { auditPath, configNames, format, isKept, type Manifest, manifestName, workshopPath } from './backup-format.ts'
import { asOwnerOf } from './become.ts'
import { copyStores } from './copy-stores.ts'
import type { Installation } from './main.ts'

/** Saves configuration and data to one .tar.gz (0600), whole or not at all; `-` is standard output. A daemon may run meanwhile. */
export async function backup(args: string[], { root, commandName }: Installation): Promise<void> {
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { 'with-audit': { type: 'boolean' } } })
  const [file] = positionals
  if (file === undefined || positionals.length > 1)
    throw new Error(`Usage: ${commandName} backup <file.tar.gz, or -> [--with-audit]`)
  if (file === '-' && process.stdout.isTTY)
    throw new Error(`It is not for the terminal: ${commandName} backup - > patchbay.tar.gz`)
  const { configDir, dataDir } = resolvePaths(process.env, root)
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
  const manifest: Manifest = { format, version, host: hostname(), time: new Date().toISOString() }

  const leftOut: string[] = []
  const config = configNames.map((name) => ({ path: join(configDir, name), name: `config/${name}` }))
  const files = await filesBelow(dataDir, values['with-audit'] === true, leftOut)
  // Strangers' plugins write these databases.
  const stored = await asOwnerOf(dataDir, () => copyStores(files, dataDir))
  let count = 0
  try {
    await writeTo(file, async (output) => {
      // Names and modes of this machine's users say nothing elsewhere.
      const pack = new Pack({ gzip: true, portable: true })
      const written = pipeline(Readable.from(pack, { objectMode: false }), output)
      const [packed] = await Promise.all([fill(pack, manifest, [...config, ...stored.files]), written])
      count = packed
    })
  } finally {
    await stored.end()
  }
  for (const sentence of leftOut) process.stderr.write(`${sentence}\n`)
  process.stderr.write(
    `Saved ${count} files of ${configDir} and ${dataDir}${file === '-' ? '' : ` to ${file}`}. Keep it as you would a password: it holds sessions, ` +
      `TLS keys if there are any here, and whatever plugins keep. The bot's token is not in it${values['with-audit'] ? '' : ', nor the audit (--with-audit)'}.\n`,
  )
}

interface Source {
  readonly path: string
  readonly name: string
}

/** Regular files of the data directory. What is none is told of. */
async function filesBelow(dataDir: string, withAudit: boolean, leftOut: string[]): Promise<Source[]> {
  const found: Source[] = []
  const visit = async (below: string) => {
    const entries = await readdir(join(dataDir, below), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw new Error(`${join(dataDir, below)} cannot be read (${error.code}).`)
    })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(below, entry.name)
      if ((below === '' && !isKept(entry.name)) || (path === auditPath && !withAudit) || path === workshopPath) continue
      if (entry.isDirectory()) await visit(path)
      else if (entry.isFile()) found.push({ path: join(dataDir, path), name: `data/${path}` })
      else leftOut.push(`Left out: ${join(dataDir, path)}, which is a link or no file.`)
    }
  }
  await visit('')
  return found
}

/** Resolves with the number of files. */
async function fill(pack: Pack, manifest: Manifest, sources: readonly Source[]): Promise<number> {
  const text = Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`)
  add(pack, manifestName, { size: text.length, mode: 0o600, mtime: new Date(manifest.time) }).end(text)
  let count = 0
  for (const source of sources) if (await addFile(pack, source)) count += 1
  pack.end()
  return count
}

function add(pack: Pack, path: string, stats: { size: number; mode: number; mtime: Date }): ReadEntry {
  const entry = new ReadEntry(new Header({ path, type: 'File', ...stats }))
  pack.add(entry)
  return entry
}

/** False if there is no such file (any more). Its length is the one it has now, whatever is written meanwhile. */
export async function addFile(pack: Pack, { path, name }: Source): Promise<boolean> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const handle = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new Error(`${path} cannot be read (${error.code}).`)
  })
  if (!handle) return false
  try {
    const { size, mode, mtime } = await handle.stat()
    const entry = add(pack, name, { size, mode: mode & 0o700, mtime })
    let left = size
    if (size > 0)
      for await (const chunk of handle.createReadStream({ start: 0, end: size - 1, autoClose: false }) as AsyncIterable<Buffer>) {
        left -= chunk.length
        if (!entry.write(chunk)) await new Promise((resume) => entry.once('drain', () => resume(undefined)))
      }
    if (left > 0) throw new Error(`${path} became shorter while it was read. Try again.`)
    entry.end()
    return true
  } finally {
    await handle.close()
  }
}

async function writeTo(file: string, write: (output: Writable) => Promise<void>): Promise<void> {
  if (file === '-') return write(process.stdout)
  const target = resolve(file)
  if (
    await lstat(target).then(
      (stats) => stats.isDirectory(),
      () => false,
    )
  )
    throw new Error(`${target} is a directory; name a file in it.`)
  const temporary = `${target}.${process.pid}.part`
  try {
    await write(createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true }))
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === undefined || syscall === undefined) throw error
    throw new Error(`${target} cannot be written (${code}). To let your shell write it: patchbay backup - > ${file}`)
  }
}
