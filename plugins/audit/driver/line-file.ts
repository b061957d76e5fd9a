import { constants, type Stats } from 'node:fs'
import { chmod, type FileHandle, lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface LineFileOptions {
  readonly directory: string
  /** A file that would become larger is followed by a new one. */
  readonly maxBytes: number
  /** How many are kept. */
  readonly files: number
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
const name = 'audit.log'

/** Where the lines are, newest file first. */
export function pathsOf({ directory, files }: LineFileOptions): string[] {
  return Array.from({ length: files }, (_, nth) => join(directory, nth === 0 ? name : `${name}.${nth}`))
}

/** A file (0600, in a directory 0700) that only ever grows, line by line, and is succeeded by another when it is large. */
export class LineFile {
  readonly #options: LineFileOptions
  readonly #paths: readonly string[]
  #handle: FileHandle | undefined
  #stats: Stats | undefined
  #size = 0
  /** It ends with half a line. */
  #isTorn = false

  constructor(options: LineFileOptions) {
    this.#options = options
    this.#paths = pathsOf(options)
  }

  /** Opens or creates it. Rejects with a sentence if it is a link, or somebody else's. */
  async open(): Promise<void> {
    const { directory } = this.#options
    await mkdir(directory, { recursive: true, mode: 0o700 })
    refuseOthers(await lstat(directory), "the audit's directory", (stats) => stats.isDirectory())
    await chmod(directory, 0o700)
    const handle = await open(this.#path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600).catch(
      (error: unknown) => {
        throw (error as NodeJS.ErrnoException).code === 'ELOOP' ? new Error(`${name} is a link; remove it`) : error
      },
    )
    try {
      const stats = await handle.stat()
      refuseOthers(stats, name, () => stats.isFile() && stats.nlink === 1)
      await handle.chmod(0o600)
      const last = Buffer.alloc(1)
      if (stats.size > 0) await handle.read(last, 0, 1, stats.size - 1)
      this.#isTorn = stats.size > 0 && last.toString() !== '\n'
      this.#size = stats.size
      this.#stats = stats
    } catch (error) {
      await handle.close()
      throw error
    }
    await this.#handle?.close()
    this.#handle = handle
  }

  /** Appends whole lines; they are on the disk when it resolves. When it rejects, none of them is there. */
  async append(text: string): Promise<void> {
    await this.#reopenIfGone()
    const bytes = Buffer.byteLength(text)
    if (this.#size > 0 && this.#size + bytes > this.#options.maxBytes) await this.#succeed()
    const handle = this.#opened
    try {
      await handle.appendFile(this.#isTorn ? `\n${text}` : text)
      await handle.datasync()
    } catch (error) {
      // What cannot be taken back is looked at when it is opened again.
      await handle.truncate(this.#size).catch(() => {
        this.#stats = undefined
      })
      throw error
    }
    this.#size += bytes + (this.#isTorn ? 1 : 0)
    this.#isTorn = false
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  get #path(): string {
    return this.#paths[0] as string
  }

  get #opened(): FileHandle {
    if (!this.#handle) throw new Error(`${name} is not open`)
    return this.#handle
  }

  /** Somebody may have moved or removed it; lines for a file without a name would be lost. */
  async #reopenIfGone(): Promise<void> {
    const there = await lstat(this.#path).catch(() => undefined)
    if (!this.#handle || there?.ino !== this.#stats?.ino || there?.dev !== this.#stats?.dev) await this.open()
  }

  async #succeed(): Promise<void> {
    await unlink(this.#paths.at(-1) as string).catch(absent)
    for (let nth = this.#paths.length - 2; nth >= 0; nth--)
      await rename(this.#paths[nth] as string, this.#paths[nth + 1] as string).catch(absent)
    await this.open()
  }
}

function absent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

function refuseOthers(stats: Stats, what: string, isRight: (stats: Stats) => boolean): void {
  if (!isRight(stats)) throw new Error(`${what} is a link or no ordinary one; remove it`)
  if (stats.uid !== process.getuid?.()) throw new Error(`${what} belongs to another user; remove it or chown it`)
}
