const most = 20

/** Who took the last snapshots; the pictures are not kept. */
export class Snapshots {
  readonly #taken: Array<{ userId: string; at: string }> = []

  note(userId: string): void {
    this.#taken.unshift({ userId, at: new Date().toISOString() })
    this.#taken.length = Math.min(most, this.#taken.length)
  }

  /** Newest first. */
  list(): Array<{ userId: string; at: string }> {
    return [...this.#taken]
  }
}
