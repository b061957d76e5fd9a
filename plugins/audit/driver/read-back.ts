import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { entryOf, type Numbered } from './entry.ts'

const chunkBytes = 64 * 1024
const newline = 10

/** The newest entries of these files (newest file first), newest first: at most `limit`, with numbers below `before`. */
export async function recent(paths: readonly string[], limit: number, before = Number.POSITIVE_INFINITY): Promise<Numbered[]> {
  const found: Numbered[] = []
  for (const path of paths) {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    })
    if (!handle) continue
    try {
      for await (const line of backwards(handle)) {
        const entry = entryOf(line)
        // A file that was succeeded while this reads is met twice.
        if (entry && entry.n < before && entry.n < (found.at(-1)?.n ?? Number.POSITIVE_INFINITY)) found.push(entry)
        if (found.length === limit) return found
      }
    } finally {
      await handle.close()
    }
  }
  return found
}

/** The lines of a file, last first. What is longer than a chunk is no line of ours and is left out. */
async function* backwards(handle: FileHandle): AsyncGenerator<string> {
  let end = (await handle.stat()).size
  let tail = Buffer.alloc(0)
  while (end > 0) {
    const length = Math.min(chunkBytes, end)
    const chunk = Buffer.alloc(length)
    const { bytesRead } = await handle.read(chunk, 0, length, end - length)
    if (bytesRead < length) return
    end -= length
    let text = Buffer.concat([chunk, tail])
    for (let at = text.lastIndexOf(newline); at >= 0; at = text.lastIndexOf(newline)) {
      yield text.subarray(at + 1).toString()
      text = text.subarray(0, at)
    }
    tail = text.length > chunkBytes ? Buffer.alloc(0) : Buffer.from(text)
  }
  yield tail.toString()
}
