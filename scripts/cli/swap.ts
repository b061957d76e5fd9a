import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeWhole } from '../../core/write-whole.ts'
import { auditPath, configNames, isKept } from './backup-format.ts'

export interface SwapOptions {
  /** With `config/` and `data/`, on the file system of the data directory. */
  readonly unpacked: string
  readonly configDir: string
  readonly dataDir: string
  /** Where what is replaced goes, below the data directory: `config/` and `data/` again. */
  readonly kept: string
  /** Files of the data directory that stay what they are. */
  readonly keep: readonly string[]
}

/**
 * Puts what was unpacked in the place of what is there. The data is moved, name by name; the configuration is written, file by
 * file, each whole or not at all. If anything fails, everything is put back and it rejects.
 */
export async function swap({ unpacked, configDir, dataDir, kept, keep }: SwapOptions): Promise<void> {
  const undo: Array<() => Promise<unknown>> = []
  const move = async (from: string, to: string) => {
    await rename(from, to)
    undo.push(() => rename(to, from))
  }
  try {
    const [keptConfig, keptData] = [join(dataDir, kept, 'config'), join(dataDir, kept, 'data')]
    await mkdir(keptData, { recursive: true, mode: 0o700 })
    for (const name of await readdir(dataDir))
      if (isKept(name) && !keep.includes(name)) await move(join(dataDir, name), join(keptData, name))
    for (const name of await readdir(join(unpacked, 'data'))) await move(join(unpacked, 'data', name), join(dataDir, name))
    await keepAudit(dataDir, keptData, move)

    await mkdir(keptConfig, { mode: 0o700 })
    await mkdir(configDir, { recursive: true, mode: 0o700 })
    for (const name of configNames) {
      const [path, before] = [join(configDir, name), join(keptConfig, name)]
      const text = await read(join(unpacked, 'config', name))
      const old = await read(path)
      if (old !== undefined) await writeWhole(before, old, { mode: 0o600 })
      undo.push(() => (old === undefined ? rm(path, { force: true }) : writeWhole(path, old)))
      if (text !== undefined) await writeWhole(path, text, old === undefined ? { mode: 0o600 } : {})
      else await rm(path, { force: true })
    }
  } catch (error) {
    for (const step of undo.reverse()) await step()
    const { code, message } = error as NodeJS.ErrnoException
    throw new Error(`It could not be put in place (${code ?? message}), and everything is as it was.`)
  }
}

/** What was done here since the backup stays told: the audit goes on in its own files. */
async function keepAudit(dataDir: string, keptData: string, move: (from: string, to: string) => Promise<void>): Promise<void> {
  const [own, restored] = [join(keptData, auditPath), join(dataDir, auditPath)]
  const isThere = await readdir(own).then(Boolean, () => false)
  if (!isThere) return
  await mkdir(dirname(restored), { recursive: true, mode: 0o700 })
  if (await readdir(restored).then(Boolean, () => false)) await move(restored, `${own}-of-backup`)
  await move(own, restored)
}

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}
