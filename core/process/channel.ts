import type { Duplex } from 'node:stream'
import { readLines } from './read-lines.ts'

/** What it is, then its fields. */
export type Message = readonly [kind: string, ...fields: unknown[]]

/** Characters: of a message; of what is kept while the other end does not read. */
const most = { message: 4 * 1024 * 1024, waiting: 16 * 1024 * 1024 }
/** Messages that may be left out, kept at a time. */
const mostOptional = 1000

export interface ChannelParts {
  onMessage(message: Message): void
  /** It can be used no longer: a sentence says why. */
  onBroken(reason: string): void
  /** So many messages were left out because the other end did not read. */
  onLeftOut?(count: number): void
}

export interface SendOptions {
  /** While the other end does not read, a later message with this key takes the place of an earlier one. */
  readonly key?: string
  /** It may be left out if too many wait. */
  readonly isOptional?: boolean
}

/** Messages as lines of JSON, both ways, in order. What waits for the other end is bounded. */
export class Channel {
  readonly #stream: Duplex
  readonly #parts: ChannelParts
  /** While the other end does not read. */
  readonly #waiting = new Map<unknown, string>()
  #waitingLength = 0
  #leftOut = 0
  #isFull = false

  constructor(stream: Duplex, parts: ChannelParts) {
    this.#stream = stream
    this.#parts = parts
    stream.on('drain', () => this.#drain())
    stream.on('error', () => {}) // it closes after that, and whoever made it knows
    readLines(stream, {
      longest: most.message,
      onLine: (line) => this.#receive(line),
      onTooLong: () => parts.onBroken(`a message has more than ${most.message} characters`),
    })
  }

  /** Messages that wait because the other end does not read. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Throws what JSON.stringify throws, and for a message that is too long. */
  send(message: Message, { key, isOptional = false }: SendOptions = {}): void {
    const line = `${JSON.stringify(message)}\n`
    if (line.length > most.message) throw new RangeError(`What is sent at once has at most ${most.message} characters.`)
    if (!this.#isFull) {
      this.#isFull = !this.#stream.write(line)
      return
    }
    const before = key === undefined ? undefined : this.#waiting.get(key)
    if (isOptional && before === undefined && this.#waiting.size >= mostOptional) return void this.#leftOut++
    // A key that is there keeps its place.
    this.#waiting.set(key ?? Symbol('one of its own'), line)
    this.#waitingLength += line.length - (before?.length ?? 0)
    if (this.#waitingLength > most.waiting) this.#parts.onBroken('the other end does not read')
  }

  /** Takes back what has this key and still waits. */
  unsend(key: string): void {
    const line = this.#waiting.get(key)
    if (line === undefined) return
    this.#waiting.delete(key)
    this.#waitingLength -= line.length
  }

  #drain(): void {
    const lines = [...this.#waiting.values()].join('')
    const leftOut = this.#leftOut
    this.#waiting.clear()
    this.#waitingLength = 0
    this.#leftOut = 0
    this.#isFull = false
    if (lines) this.#isFull = !this.#stream.write(lines)
    if (leftOut > 0) this.#parts.onLeftOut?.(leftOut)
  }

  #receive(line: string): void {
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      message = undefined
    }
    if (Array.isArray(message) && typeof message[0] === 'string') this.#parts.onMessage(message as unknown as Message)
    else this.#parts.onBroken('a line is no message')
  }
}
