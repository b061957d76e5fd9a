import { basename } from 'node:path'

/** What is wrong with a package, as a sentence that says what to mend; it ends up in `Found.problem`. */
export class Problem extends Error {}

/** Text from outside as part of a sentence: not too long, and nothing in it steers a terminal. */
export const clip = (text: string): string => text.slice(0, 200).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd')

/** The sentence for a problem or a failed system call; anything else is a defect of the host and goes on. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Problem) return error.message
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error
  return `it cannot be read (${error.syscall}: ${error.code})`
}

/** Turns the failure of a system call into undefined, if it failed because there is nothing at that path. */
export function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ELOOP') throw new Problem(`${clip(basename(error.path ?? ''))} is a symbolic link, which is not followed`)
  if (error.code !== 'ENOENT') throw error
}
