import { writeFile } from 'node:fs/promises'

/**
 * Replaces a file by one with this content, or leaves it as it was and rejects. Without a mode it keeps its own.
 *
 * write-file-atomic takes a short write, which is what a disk that fills up gives, for a whole one, and would put half a file
 * in the place of the good one. So Node writes the temporary file: it goes on to the end or throws.
 */
export async function writeWhole(file: string, text: string, options: { readonly mode?: number } = {}): Promise<void> {
  const { default: writeFileAtomic } = await import('write-file-atomic')
  const fill = (path: string) => writeFile(path, text)
  await writeFileAtomic(file, '', { ...options, tmpfileCreated: fill as (path: string) => void })
}
