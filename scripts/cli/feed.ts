import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'

/** A parser of `tar`. */
export interface Sink {
  write(chunk: Buffer): boolean
  end(): unknown
  on(event: 'end' | 'eof' | 'error', listener: (error: Error) => void): unknown
  once(event: 'drain', listener: () => void): unknown
}

export interface Reading {
  /** Bytes that may come out of the archive, names and padding included; and how that is said. */
  readonly most: { readonly bytes: number; readonly said: string }
  /** What was found wrong with an entry; empty as long as nothing is. */
  problem(): string
  /** The error that tells whoever reads it why this archive is refused. */
  refuse(why: string): Error
}

const maxPadding = 1024 ** 2
const headerBytes = 512

/** Feeds a .tar.gz to a parser and stops at the first thing that is wrong. No more is unpacked at a time than one chunk of it. */
export async function feed(archive: string, sink: Sink, { most, problem, refuse }: Reading): Promise<void> {
  let [bytes, failure] = [0, undefined as Error | undefined]
  // What comes after the end is padding. The parser would keep all of it.
  let [isOver, past] = [false, 0]
  let head: Buffer | undefined = Buffer.alloc(0)
  const ended = new Promise<void>((resolve) => {
    sink.on('eof', () => {
      isOver = true
    })
    sink.on('end', () => resolve())
    sink.on('error', (error) => {
      failure ??= error
      resolve()
    })
  })
  const check = () => {
    if (problem()) throw refuse(problem())
    if (failure) throw refuse(failure.message)
  }
  const input = createReadStream(archive)
  const plain = input.pipe(createGunzip())
  input.on('error', (error) => plain.destroy(error))
  try {
    for await (const chunk of plain as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > most.bytes) throw refuse(`it holds more than ${most.said}`)
      if (isOver) past += chunk.length
      if (past > maxPadding) throw refuse('it goes on after its end')
      if (isOver) continue
      let next = chunk
      if (head) {
        next = head = Buffer.concat([head, chunk])
        if (head.length < headerBytes) continue
        // The parser would unpack once more what is packed twice, beyond what is counted here.
        if (head.toString('latin1', 257, 262) !== 'ustar') throw refuse('it is no tar archive')
        head = undefined
      }
      const drained = sink.write(next) || new Promise<void>((resolve) => sink.once('drain', resolve))
      await Promise.race([drained, ended])
      check()
    }
    if (head) throw refuse('it is no tar archive')
    sink.end()
    await ended
    check()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw code?.startsWith('Z_') ? refuse(message) : error
  } finally {
    input.destroy()
  }
}
