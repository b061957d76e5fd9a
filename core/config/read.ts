import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'

const maxBytes = 1024 * 1024

/** Reads a regular file of at most 1 MiB; links are followed, nothing blocks. Neither field: there is no such file. */
export async function readText(path: string): Promise<{ text?: string; fault?: string }> {
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      if (!(await handle.stat()).isFile()) return { fault: 'this is not a regular file; put one in its place' }
      const bytes = await buffer(handle.createReadStream({ end: maxBytes, autoClose: false }))
      if (bytes.length > maxBytes) return { fault: 'this file is larger than 1 MiB; make it smaller' }
      return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { fault: 'this is not UTF-8 text; save the file as UTF-8' }
    if (code !== 'ENOENT') return { fault: `this file cannot be read (${code}); mend its path and its permissions` }
    const isLink = await lstat(path).then(Boolean, () => false)
    return isLink ? { fault: 'this is a link to nowhere; mend or remove it' } : {}
  }
}
