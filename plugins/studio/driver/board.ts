interface Progress {
  readonly progress: number
  readonly stage: string
  readonly message?: string
}

/** How far an item is: the event that says so, and what it says. */
export type Stage =
  | ({ readonly event: 'mediaProgress' } & Progress)
  | {
      readonly event: 'mediaComplete'
      readonly url: string
      readonly thumbnailUrl?: string
      readonly metadata?: Record<string, unknown>
    }
  | { readonly event: 'mediaError'; readonly error: string; readonly code?: string }

/** Where every item stands, of the 10,000 that were last heard of. */
export class Board {
  readonly #stages = new Map<string, Stage>()
  readonly #most: number

  constructor(most = 10_000) {
    this.#most = most
  }

  stageOf(mediaId: string): Stage | undefined {
    return this.#stages.get(mediaId)
  }

  /** Takes a report, or says why not: it would go backwards, or the item is finished. */
  report(mediaId: string, stage: Stage): 'backwards' | 'finished' | undefined {
    const before = this.#stages.get(mediaId)
    if (before && before.event !== 'mediaProgress') return 'finished'
    if (before && stage.event === 'mediaProgress' && stage.progress < before.progress) return 'backwards'
    this.#stages.delete(mediaId)
    this.#stages.set(mediaId, stage)
    const [oldest] = this.#stages.size > this.#most ? this.#stages.keys() : []
    if (oldest !== undefined) this.#stages.delete(oldest)
    return undefined
  }

  forget(mediaId: string): void {
    this.#stages.delete(mediaId)
  }
}
