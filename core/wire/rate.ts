import type { Rate } from '../plugin/contract.ts'
import { refuse } from './errors.ts'

/** The times of a user's last `max` commands of one kind, in a ring. */
interface Ring {
  readonly times: number[]
  /** Where the next one goes; there stands the oldest once the ring is full. */
  next: number
}

const sweepAt = 1000

/** Step 4: at most `max` in any `windowMs`, counted per user and command, so that neither a second socket nor a reconnect lifts it. */
export class RateLimits {
  readonly #rings = new WeakMap<object, Map<string, Ring>>()

  /** Counts one, or throws RATE_LIMITED. `now` in milliseconds, monotonic. */
  take(userId: string, command: { readonly rate: Rate }, now = performance.now()): void {
    const { max, windowMs } = command.rate
    const ring = this.#ring(userId, command, now)
    const oldest = ring.times[ring.next]
    if (oldest !== undefined && oldest > now - windowMs) {
      const retryAfter = Math.max(1, Math.ceil((oldest + windowMs - now) / 1000))
      throw refuse('RATE_LIMITED', `At most ${max} times in ${windowMs / 1000} s.`, retryAfter)
    }
    ring.times[ring.next] = now
    ring.next = (ring.next + 1) % max
  }

  #ring(userId: string, command: { readonly rate: Rate }, now: number): Ring {
    const rings = this.#rings.get(command) ?? new Map<string, Ring>()
    const known = rings.get(userId)
    if (known) return known
    // Whose window is over is forgotten.
    if (rings.size >= sweepAt)
      for (const [user, { times, next }] of rings)
        if ((times.at(next - 1) ?? 0) <= now - command.rate.windowMs) rings.delete(user)
    const ring: Ring = { times: [], next: 0 }
    this.#rings.set(command, rings.set(userId, ring))
    return ring
  }
}
