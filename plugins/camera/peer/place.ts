import type { Resolution } from '../driver/types.ts'

const resolutions: readonly Resolution[] = ['480p', '720p', '1080p']
/** Conclusions in a row before a viewer is moved down, and milliseconds before it is tried at the higher resolution again. */
const patience = { down: 3, up: 30_000, longest: 600_000 }

/** Which resolution one viewer gets: the one it wished for, or a lower one while its way is far worse than the others'. */
export class Place {
  resolution: Resolution
  wanted: Resolution
  #poor = 0
  #movedAt = 0
  #upMs = patience.up

  constructor(wanted: Resolution) {
    this.wanted = wanted
    this.resolution = wanted
  }

  get reason(): string | null {
    return this.resolution === this.wanted
      ? null
      : `${this.resolution} instead of ${this.wanted}, as the connection carries no more.`
  }

  /** The viewer wishes for another. */
  wish(wanted: Resolution): void {
    this.wanted = wanted
    this.resolution = wanted
    this.#poor = 0
    this.#upMs = patience.up
  }

  /** The resolution to move to, if that is another one now. `targetKbps` is what all get. */
  step(allowedKbps: number, targetKbps: number, now: number): Resolution | undefined {
    const at = resolutions.indexOf(this.resolution)
    this.#poor = allowedKbps < targetKbps / 2 ? this.#poor + 1 : 0
    if (this.#poor >= patience.down && at > 0) {
      this.#upMs = this.#movedAt > 0 ? Math.min(patience.longest, this.#upMs * 2) : patience.up
      return this.#move(at - 1, now)
    }
    const mayRise = this.resolution !== this.wanted && allowedKbps >= targetKbps * 0.9 && now - this.#movedAt >= this.#upMs
    return mayRise ? this.#move(at + 1, now) : undefined
  }

  #move(to: number, now: number): Resolution {
    this.#poor = 0
    this.#movedAt = now
    this.resolution = resolutions[to] as Resolution
    return this.resolution
  }
}
