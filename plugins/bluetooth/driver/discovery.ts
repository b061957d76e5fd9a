export interface Scanner {
  start(): Promise<unknown>
  stop(): Promise<unknown>
}

/**
 * One discovery for all who wish for it. To BlueZ they are one client, whose second start it would refuse. It ends with the last wish,
 * and no wish lives longer than `maxMs`.
 */
export class Discovery {
  readonly #scanner: Scanner
  readonly #maxMs: number
  readonly #wishes = new Map<string, NodeJS.Timeout>()
  #isRunning = false
  #turns = 0
  /** Starts and stops, one after the other. */
  #queue: Promise<unknown> = Promise.resolve()

  constructor(scanner: Scanner, maxMs: number) {
    this.#scanner = scanner
    this.#maxMs = maxMs
  }

  /** Resolves when BlueZ scans. A second wish of the same client begins its time anew. Rejects, without a wish, as the scanner's start does. */
  async wish(client: string): Promise<void> {
    this.#drop(client)
    this.#wishes.set(client, setTimeout(() => void this.end(client), this.#maxMs).unref())
    try {
      await this.#converge()
    } catch (error) {
      this.#drop(client)
      throw error
    }
  }

  /** Resolves when it has stopped, if that was the last wish. */
  async end(client: string): Promise<void> {
    if (this.#drop(client)) await this.#converge()
  }

  /** Everything ends. */
  async stop(): Promise<void> {
    for (const client of [...this.#wishes.keys()]) this.#drop(client)
    await this.#converge()
  }

  /** BlueZ has ended it by itself: the adapter was switched off, or is gone. What is being started or stopped learns of that by itself. */
  lost(): void {
    if (this.#turns > 0) return
    for (const client of [...this.#wishes.keys()]) this.#drop(client)
    this.#isRunning = false
  }

  #drop(client: string): boolean {
    clearTimeout(this.#wishes.get(client))
    return this.#wishes.delete(client)
  }

  async #converge(): Promise<void> {
    this.#turns++
    const turn = this.#queue.then(() => this.#turn())
    this.#queue = turn.catch(() => undefined)
    try {
      await turn
    } finally {
      this.#turns--
    }
  }

  async #turn(): Promise<void> {
    const isWished = this.#wishes.size > 0
    if (isWished === this.#isRunning) return
    this.#isRunning = isWished
    try {
      await (isWished ? this.#scanner.start() : this.#scanner.stop())
    } catch (error) {
      this.#isRunning = !isWished
      throw error
    }
  }
}
