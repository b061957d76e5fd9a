import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** Lies in the directory of an installed plugin, so that the two come and go in one step. */
export const recordName = '.patchbay-installed.json'
const maxBytes = 1024 ** 2

/** How a plugin came here. */
export interface Installed {
  readonly source: 'npm' | 'file' | 'folder'
  /** What was asked for: `lamp@^1` of npm's registry, or an absolute path. */
  readonly from: string
  /** Of its package.json, as is the version. */
  readonly name: string
  readonly version: string
  /** SHA-512 of the package as it came (of a folder: as it was packed), as npm writes it. */
  readonly integrity: string
  /** By its place in `node_modules`. */
  readonly dependencies: Readonly<Record<string, { readonly version: string; readonly integrity: string }>>
  /** ISO 8601, UTC. */
  readonly at: string
}

/** The record of the plugin in this directory; undefined if it was not installed, or somebody has changed the record. */
export async function readRecord(dir: string): Promise<Installed | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  const file = await open(join(dir, recordName), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => undefined)
  if (!file) return undefined
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0)
    const record = JSON.parse(buffer.toString('utf8', 0, bytesRead)) as Partial<Installed> | null
    const texts = [record?.from, record?.name, record?.version, record?.integrity, record?.at]
    const isWhole = ['npm', 'file', 'folder'].includes(String(record?.source)) && texts.every((text) => typeof text === 'string')
    return isWhole ? (record as Installed) : undefined
  } catch {
    return undefined
  } finally {
    await file.close()
  }
}
