import { refuse } from './errors.ts'
import type { Command } from './module.ts'

/** The times at which a user gave a command, oldest first, from `head` on. */
interface Log {
  times: number[]
  head: number
  windowMs: number
}

/** Step 4: at most `max` in any `windowMs`, counted per user and command, so that neither a second socket nor a reconnect lifts it. */
export class RateLimits {
  readonly #users = new Map<string, Map<string, Log>>()

  /** Counts one, or throws RATE_LIMITED. `now` in milliseconds, monotonic. */
  take(userId: string, { name, module, rate }: Pick<Command, 'name' | 'module' | 'rate'>, now = performance.now()): void {
    const log = this.#log(userId, module ? `${module.id} ${name}` : name, now)
    log.windowMs = rate.windowMs
    while (log.head < log.times.length && (log.times[log.head] as number) <= now - rate.windowMs) log.head++
    if (log.times.length - log.head >= rate.max) {
      const retryAfter = Math.max(1, Math.ceil(((log.times[log.head] as number) + rate.windowMs - now) / 1000))
      throw refuse('RATE_LIMITED', `At most ${rate.max} times in ${rate.windowMs / 1000} s.`, { retryAfter })
    }
    if (log.head > 64 && log.head * 2 > log.times.length) {
      log.times = log.times.slice(log.head)
      log.head = 0
    }
    log.times.push(now)
  }

  #log(userId: string, key: string, now: number): Log {
    let user = this.#users.get(userId)
    if (!user) {
      if (this.#users.size >= 1000) this.#sweep(now)
      user = new Map()
      this.#users.set(userId, user)
    }
    let log = user.get(key)
    if (!log) {
      log = { times: [], head: 0, windowMs: 0 }
      user.set(key, log)
    }
    return log
  }

  /** Users whose windows are all over are forgotten. */
  #sweep(now: number): void {
    for (const [userId, logs] of this.#users) {
      const busy = [...logs.values()].some((log) => (log.times.at(-1) ?? 0) > now - log.windowMs)
      if (!busy) this.#users.delete(userId)
    }
  }
}
