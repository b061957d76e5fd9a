import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'libsql/promise'

/** What a plugin's store is in: the log beside it is part of it. */
const store = /^data\/store\/([^/]+)\/store\.db(-wal|-shm)?$/

/**
 * The same files, with a copy in the place of each plugin's store: as it was after one commit, although it is written to meanwhile.
 * `end` removes the copies.
 */
export async function copyStores<F extends { readonly path: string; readonly name: string }>(
  files: readonly F[],
  dataDir: string,
): Promise<{ files: Array<F | { path: string; name: string }>; end(): Promise<void> }> {
  const stores = files.filter(({ name }) => name.endsWith('.db') && store.test(name))
  if (stores.length === 0) return { files: [...files], end: async () => undefined }
  const place = await mkdtemp(join(dataDir, '.backup-'))
  const end = () => rm(place, { recursive: true, force: true })
  try {
    const copies = []
    for (const { path, name } of stores) {
      const [, id = ''] = store.exec(name) ?? []
      const copy = join(place, id)
      await mkdir(copy)
      await copyStore(path, join(copy, 'store.db'))
      copies.push({ path: join(copy, 'store.db'), name })
    }
    return { files: [...files.filter(({ name }) => !store.test(name)), ...copies], end }
  } catch (error) {
    await end()
    throw error
  }
}

async function copyStore(file: string, copy: string): Promise<void> {
  const db = new Database(file, { timeout: 30_000 })
  try {
    await (await db.prepare('VACUUM INTO ?')).all([copy])
  } catch (error) {
    throw new Error(`${file} cannot be copied: ${(error as Error).message}`)
  } finally {
    db.close()
  }
}
