import type { AccessUnit, Feed, Lens, Problem, Resolution } from '../driver/types.ts'
import type { Connection } from './connection.ts'
import { Estimate } from './estimate.ts'
import { Place } from './place.ts'
import type { Report } from './rtcp.ts'

/** Pictures that wait for the way to open: those since the last key frame, of two seconds at most. */
const mostWaiting = 60

export interface Who {
  readonly clientId: string
  readonly userId: string
}

/** What is told of a viewer to all who may watch. */
export interface ViewerInfo {
  readonly userId: string
  /** ISO 8601 */
  readonly since: string
  readonly state: 'connecting' | 'watching' | 'interrupted'
  readonly resolution: Resolution
  readonly wanted: Resolution
  readonly reason: string | null
  /** Pictures a second that were sent, kbit/s, share of packets lost in percent, milliseconds there and back, and from exposure to arrival. */
  readonly frameRate: number
  readonly bitrateKbps: number
  readonly lostPercent: number
  readonly roundTripMs: number | null
  readonly latencyMs: number | null
}

export interface ViewerEvents {
  interrupted(problem: Problem): void
  changed(): void
}

/** One client that watches: its connection, what is sent over it, and how it arrives. */
export class Viewer {
  readonly who: Who
  readonly place: Place
  readonly estimate = new Estimate()
  readonly startedAt = Date.now()
  connection: Connection | undefined
  /** When something was last heard from its browser; milliseconds since the epoch. */
  heardAt = Date.now()
  isOpen = false
  readonly #lens: Pick<Lens, 'watch'>
  readonly #events: ViewerEvents
  readonly #waiting: AccessUnit[] = []
  /** The stream that is sent, and the one that will be. */
  #current: object | undefined
  #next: object | undefined
  #feed: Feed | undefined
  #problem: Problem | undefined
  #isClosed = false
  #sent = { frames: 0, bytes: 0, delayMs: 0, since: Date.now() }
  #figures = { frameRate: 0, bitrateKbps: 0, delayMs: 0 }

  constructor(who: Who, resolution: Resolution, lens: Pick<Lens, 'watch'>, events: ViewerEvents) {
    this.who = who
    this.place = new Place(resolution)
    this.#lens = lens
    this.#events = events
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get sentKbps(): number {
    return this.#figures.bitrateKbps
  }

  info(): ViewerInfo {
    const { resolution, wanted, reason } = this.place
    const { frameRate, bitrateKbps, delayMs } = this.#figures
    const { lost, roundTripMs } = this.estimate
    const isSent = this.isOpen && frameRate > 0
    return {
      userId: this.who.userId,
      since: new Date(this.startedAt).toISOString(),
      state: this.#problem ? 'interrupted' : this.isOpen ? 'watching' : 'connecting',
      resolution,
      wanted,
      reason: this.#problem?.sentence ?? reason,
      frameRate,
      bitrateKbps,
      lostPercent: Math.round(lost * 1000) / 10,
      roundTripMs,
      latencyMs: isSent && roundTripMs !== null ? Math.round(delayMs + roundTripMs / 2) : null,
    }
  }

  /** Sends this resolution from its first key frame on. Resolves with the first picture; rejects as `Lens.watch` does. */
  async show(resolution: Resolution): Promise<void> {
    const stream = {}
    this.#next = stream
    const isNext = () => this.#next === stream && !this.#isClosed
    let feed: Feed
    try {
      feed = await this.#lens.watch(resolution, {
        unit: (unit) => {
          if (isNext()) this.#current = stream
          if (this.#current === stream) this.#take(unit)
        },
        interrupted: (problem) => {
          if (isNext()) this.#interrupt(problem)
        },
        resumed: () => {
          if (isNext()) this.#interrupt(undefined)
        },
      })
    } catch (error) {
      // What was sent before goes on.
      if (this.#next === stream) this.#next = this.#current
      throw error
    }
    if (!isNext()) return feed.close()
    this.#feed?.close()
    this.#feed = feed
    this.#interrupt(undefined)
  }

  open(): void {
    this.isOpen = true
    this.heardAt = Date.now()
    for (const unit of this.#waiting.splice(0)) this.#send(unit)
    this.#events.changed()
  }

  hear(report: Report): void {
    this.heardAt = Date.now()
    this.estimate.hear(report)
  }

  /** Makes figures of what was sent since the last time. */
  measure(): void {
    const { frames, bytes, delayMs, since } = this.#sent
    const seconds = (Date.now() - since) / 1000
    if (seconds <= 0) return
    this.#figures = {
      frameRate: Math.round((frames / seconds) * 10) / 10,
      bitrateKbps: Math.round((bytes * 8) / 1000 / seconds),
      delayMs: frames > 0 ? delayMs / frames : 0,
    }
    this.#sent = { frames: 0, bytes: 0, delayMs: 0, since: Date.now() }
  }

  close(): void {
    this.#isClosed = true
    this.#feed?.close()
    this.connection?.close()
    this.#waiting.length = 0
  }

  #interrupt(problem: Problem | undefined): void {
    if (this.#problem === problem) return
    this.#problem = problem
    if (problem) this.#events.interrupted(problem)
    this.#events.changed()
  }

  #take(unit: AccessUnit): void {
    if (this.isOpen) {
      this.#send(unit)
      return
    }
    if (unit.isKey || this.#waiting.length >= mostWaiting) this.#waiting.length = 0
    // Nothing can be seen before a key frame.
    if (unit.isKey || this.#waiting.length > 0) this.#waiting.push(unit)
  }

  #send({ data, at }: AccessUnit): void {
    if (!this.connection?.send(data, at)) return
    this.#sent.frames++
    this.#sent.bytes += data.length
    this.#sent.delayMs += Math.max(0, Date.now() - at)
  }
}
