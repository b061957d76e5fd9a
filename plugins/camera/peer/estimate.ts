import type { Report } from './rtcp.ts'

/** kbit/s: what is assumed of a way of which nothing is known, and the least and most that is ever said of one. */
const bounds = { first: 1500, least: 100, most: 3000 }
/** Shares of packets lost: above the first it is too much, below the second there is room. */
const loss = { high: 0.1, low: 0.02 }

/** What the way to one viewer carries, by what its browser reports. */
export class Estimate {
  allowedKbps = bounds.first
  /** Of the last reports: share of packets lost, 0-1. */
  lost = 0
  roundTripMs: number | null = null
  #worstLost: number | undefined
  #estimateKbps: number | undefined

  hear({ lost, roundTripMs, estimateKbps }: Report): void {
    if (lost !== undefined) {
      this.lost = lost
      this.#worstLost = Math.max(this.#worstLost ?? 0, lost)
    }
    if (roundTripMs !== undefined) this.roundTripMs = roundTripMs
    if (estimateKbps !== undefined) this.#estimateKbps = estimateKbps
  }

  /** Draws the conclusion of what was heard since the last time, while `sentKbps` were sent. Without a report nothing changes. */
  conclude(sentKbps: number): void {
    const [lost, estimate] = [this.#worstLost, this.#estimateKbps]
    this.#worstLost = undefined
    this.#estimateKbps = undefined
    if (lost === undefined && estimate === undefined) return
    let allowed = this.allowedKbps
    if (lost !== undefined && lost > loss.high) allowed = Math.min(allowed, sentKbps) * (1 - lost / 2)
    else if (lost === undefined || lost < loss.low) allowed *= 1.08
    // A browser sees no further than half as much again as it gets: only what is below that says something.
    if (estimate !== undefined && estimate < sentKbps) allowed = Math.min(allowed, estimate * 0.9)
    this.allowedKbps = Math.min(bounds.most, Math.max(bounds.least, Math.round(allowed)))
  }
}
