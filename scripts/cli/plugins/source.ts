import { createHash } from 'node:crypto'
import { constants, createReadStream, createWriteStream, type Dirent } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Pack } from 'tar'
import { isHidden } from '../../../core/lifecycle/package-walk.ts'
import { addFile } from '../backup.ts'
import { asOwnerOf } from '../become.ts'

export const maxPacked = 64 * 1024 ** 2
const maxFiles = 2000
const maxDepth = 16
const name = String.raw`(?:@[a-z0-9~][a-z0-9._~-]*\/)?[a-z0-9~][a-z0-9._~-]*`
/** What npm's registry can have, and how a version, a range without blanks or a tag is written: no address, no path. */
export const npmName = new RegExp(`^${name}$`, 'i')
const npmSpec = new RegExp(String.raw`^(${name})(?:@([\w.+~^<>=*-]{1,100}))?$`, 'i')

export type Source =
  | { readonly source: 'npm'; readonly from: string; readonly name: string }
  | { readonly source: 'file' | 'folder'; readonly from: string; save(to: string): Promise<void> }

/** Opens what is named on the command line, as whoever named it. Rejects with a sentence. */
export async function openSource(text: string): Promise<Source> {
  const isPath = /^[./~]|\.(tgz|tar\.gz)$|\/$/.test(text) || (text.includes('/') && !text.startsWith('@'))
  if (!isPath) {
    const [, name] = npmSpec.exec(text) ?? []
    if (name !== undefined) return { source: 'npm', from: text, name }
    throw new Error(
      `${JSON.stringify(text)} is no package of npm's registry, such as patchbay-lamp or @me/lamp@1.2.0. A folder is named with a slash: ./lamp`,
    )
  }
  const path = resolve(text)
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`There is no file or folder ${path} that can be read (${error.code}).`)
  })
  if (stats.isDirectory()) {
    const packed = await asOwnerOf(path, () => packFolder(path))
    return { source: 'folder', from: path, save: async (to) => pipeline([packed], createWriteStream(to, { mode: 0o600 })) }
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const { size } = await file.stat()
  if (!stats.isFile() || size > maxPacked) {
    await file.close()
    throw new Error(`${path} is ${stats.isFile() ? 'larger than 64 MiB' : 'neither a file nor a folder'}.`)
  }
  return { source: 'file', from: path, save: (to) => copy(file, size, to) }
}

/** As npm writes it. */
export async function integrityOf(file: string): Promise<string> {
  const hash = createHash('sha512')
  await pipeline(createReadStream(file), hash)
  return `sha512-${hash.digest('base64')}`
}

/** No more than was there when it was opened. */
async function copy(file: FileHandle, size: number, to: string): Promise<void> {
  await pipeline(size > 0 ? file.createReadStream({ start: 0, end: size - 1 }) : [], createWriteStream(to, { mode: 0o600 }))
}

/** The files of a folder as npm would send them, but for what is hidden and `node_modules`. */
async function packFolder(folder: string): Promise<Buffer> {
  const pack = new Pack({ gzip: true, portable: true })
  const chunks: Buffer[] = []
  let [size, count] = [0, 0]
  pack.on('data', (chunk) => {
    chunks.push(chunk as Buffer)
    size += chunk.length
  })
  const tooLarge = (what: string) => new Error(`${folder} holds more than ${what}; it is to hold what the plugin runs on.`)
  const visit = async (below: string, depth: number): Promise<void> => {
    const entries: Dirent[] = await readdir(join(folder, below), { withFileTypes: true })
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const path = join(below, entry.name)
      if (isHidden(entry.name)) continue
      if (entry.isDirectory() && depth < maxDepth) await visit(path, depth + 1)
      else if (!entry.isFile())
        throw new Error(`${join(folder, path)} is a link, no file, or lies too deep; it cannot be part of a package.`)
      else await addFile(pack, { path: join(folder, path), name: `package/${path}` })
      if (++count > maxFiles) throw tooLarge(`${maxFiles} files`)
      if (size > maxPacked) throw tooLarge('64 MiB')
    }
  }
  await visit('', 0)
  pack.end()
  await pack.promise()
  return Buffer.concat(chunks)
}
