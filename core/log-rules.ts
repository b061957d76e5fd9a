/** What bears one of these names is not logged. */
export const secretNames: ReadonlySet<string> = new Set([
  ...['token', 'sessionToken', 'initData', 'password', 'pin', 'secret', 'authorization', 'cookie'],
])
const lineRate = { burst: 200, perSecond: 50 }

/** Lets 200 lines pass at once and 50 a second on average. Then none for a second, and `tell` is called with how many that were. */
export class LineLimit {
  readonly #tell: (count: number) => void
  #left = lineRate.burst
  #at = performance.now()
  #leftOut = 0
  #pause: NodeJS.Timeout | undefined

  constructor(tell: (count: number) => void) {
    this.#tell = tell
  }

  admits(): boolean {
    if (this.#pause === undefined) {
      const now = performance.now()
      this.#left = Math.min(lineRate.burst, this.#left + ((now - this.#at) / 1000) * lineRate.perSecond)
      this.#at = now
      if (this.#left >= 1) {
        this.#left -= 1
        return true
      }
      this.#pause = setTimeout(() => this.#resume(), 1000).unref()
    }
    this.#leftOut += 1
    return false
  }

  #resume(): void {
    const count = this.#leftOut
    this.#pause = undefined
    this.#leftOut = 0
    this.#tell(count)
  }
}

/** JSON itself leaves invisible characters as they are. */
export function escaped(line: string): string {
  const shown = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return line.replace(/[\x7f-\x9f\p{Cf}\u2028\u2029]/gu, (character) => character.split('').map(shown).join(''))
}
