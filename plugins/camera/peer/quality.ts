/** What is made for all viewers. */
export interface Target {
  readonly frameRate: number
  readonly bitrateKbps: number
}

export interface QualityLimits {
  readonly frameRate: number
  readonly bitrateKbps: number
  readonly maxBitrateKbps: number
}

/** Milliseconds. A change costs a short freeze: down when it is needed, up when that seems to last. */
const wait = { down: 10_000, up: 30_000, cool: 30_000, hot: 6_000 }
const [leastKbps, leastFrameRate] = [500, 15]
const cpu = { high: 0.8, low: 0.6 }

/** Chooses frame rate and bitrate by what the viewers' ways carry and how busy the machine is. */
export class Quality {
  readonly #limits: QualityLimits
  target: Target
  /** Why it is not what was set, for people. */
  reason: string | null = null
  #bitrateSince = 0
  #hotSince: number | undefined
  #coolSince: number | undefined

  constructor(limits: QualityLimits) {
    this.#limits = limits
    const { frameRate, bitrateKbps } = limits
    this.target = { frameRate, bitrateKbps }
  }

  /**
   * Called every two seconds or so while somebody watches. `allowedKbps`: of each viewer; `busy`: share of the machine's time that was
   * used, 0-1; `now`: milliseconds. True if the target is another one now.
   */
  step({ allowedKbps, busy, now }: { allowedKbps: readonly number[]; busy: number; now: number }): boolean {
    const before = this.target
    const bitrateKbps = this.#bitrate(median(allowedKbps), now)
    const frameRate = this.#frameRate(busy, now)
    this.target = { frameRate, bitrateKbps }
    const why = [
      frameRate < this.#limits.frameRate && `${frameRate} pictures a second as the machine is busy`,
      bitrateKbps < this.#limits.bitrateKbps && `${bitrateKbps} kbit/s as the viewers' connections carry no more`,
    ].filter(Boolean)
    this.reason = why.length > 0 ? `${why.join('; ')}.` : null
    return before.frameRate !== frameRate || before.bitrateKbps !== bitrateKbps
  }

  /** Nobody watches any more: the next one begins with what was set. */
  reset(): void {
    const { frameRate, bitrateKbps } = this.#limits
    this.target = { frameRate, bitrateKbps }
    this.reason = null
    this.#bitrateSince = 0
    this.#hotSince = undefined
    this.#coolSince = undefined
  }

  #bitrate(allowed: number | undefined, now: number): number {
    const { bitrateKbps } = this.target
    if (this.#bitrateSince === 0) this.#bitrateSince = now
    if (allowed === undefined) return bitrateKbps
    const wanted = Math.min(this.#limits.maxBitrateKbps, Math.max(leastKbps, Math.round(allowed / 50) * 50))
    const since = now - this.#bitrateSince
    const isDown = wanted < bitrateKbps * 0.85 && since >= wait.down
    const isUp =
      (wanted > bitrateKbps * 1.3 || (wanted === this.#limits.maxBitrateKbps && wanted > bitrateKbps)) && since >= wait.up
    if (!isDown && !isUp) return bitrateKbps
    this.#bitrateSince = now
    return wanted
  }

  #frameRate(busy: number, now: number): number {
    const { frameRate } = this.target
    this.#hotSince = busy > cpu.high ? (this.#hotSince ?? now) : undefined
    this.#coolSince = busy < cpu.low ? (this.#coolSince ?? now) : undefined
    if (this.#hotSince !== undefined && now - this.#hotSince >= wait.hot) {
      this.#hotSince = now
      return Math.max(leastFrameRate, frameRate - 5)
    }
    if (this.#coolSince !== undefined && now - this.#coolSince >= wait.cool) {
      this.#coolSince = now
      return Math.min(this.#limits.frameRate, frameRate + 5)
    }
    return frameRate
  }
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((one, other) => one - other)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
