import type { Lens, Problem, Resolution } from '../driver/types.ts'
import { mayDial, parseCandidate } from './addresses.ts'
import { busyMeter } from './busy.ts'
import { Connection, type ConnectionEvents, type ConnectionSettings, type Library, mostCandidates } from './connection.ts'
import { Quality, type QualityLimits } from './quality.ts'
import { Refusal } from './refusal.ts'
import { Viewer, type ViewerInfo, type Who } from './viewer.ts'

/** Milliseconds: to look after the viewers; to find a way; without a word from the browser, which reports every second. */
const pace = { lookMs: 1000, concludeMs: 2000, connectMs: 20_000, silenceMs: 8000 }
/** Clients whose candidates are kept before they say what they want. */
const mostEarly = 100

export interface ViewersParts {
  readonly lens: Pick<Lens, 'watch' | 'retarget'>
  readonly library: () => Library
  /** Made anew for each connection: passwords for TURN do not last. */
  readonly connection: () => ConnectionSettings
  readonly maxViewers: number
  readonly quality: QualityLimits
  description(to: Who, type: 'offer' | 'answer', sdp: string): void
  candidate(to: Who, text: string, mid: string): void
  /** It does not see, or not any more. */
  failed(to: Who, problem: Problem | Refusal): void
  /** Somebody came, left, or gets something else. */
  changed(): void
}

/** All who watch. Every message is of the client that sent it, and concerns that client's connection only. */
export class Viewers {
  readonly #parts: ViewersParts
  readonly #viewers = new Map<string, Viewer>()
  /** Candidates that came before the description they belong to. */
  readonly #early = new Map<string, string[]>()
  readonly quality: Quality
  readonly #busy = busyMeter()
  #timer: NodeJS.Timeout | undefined
  #concludedAt = 0

  constructor(parts: ViewersParts) {
    this.#parts = parts
    this.quality = new Quality(parts.quality)
  }

  list(): ViewerInfo[] {
    return [...this.#viewers.values()].map((viewer) => viewer.info())
  }

  /** Offers the picture to a client, or shows another resolution to one that watches. Resolves with the first picture. */
  async start(who: Who, resolution: Resolution, signal: AbortSignal): Promise<void> {
    const watching = this.#viewers.get(who.clientId)
    if (watching?.isOpen) {
      await watching.show(resolution)
      watching.place.wish(resolution)
      return this.#parts.changed()
    }
    await this.#begin(who, resolution, signal, (connection) => connection.offer())
  }

  /** Answers a client's offer. */
  async offer(who: Who, sdp: string, resolution: Resolution, signal: AbortSignal): Promise<void> {
    const wanted = this.#viewers.get(who.clientId)?.place.wanted ?? resolution
    await this.#begin(who, wanted, signal, (connection) => connection.answer(sdp))
  }

  /** Takes a client's answer. Throws a Refusal. */
  answer({ clientId }: Who, sdp: string): void {
    const viewer = this.#viewers.get(clientId)
    if (!viewer?.connection) throw new Refusal('CAMERA_NOT_WATCHING', 'Nothing was offered to you: camera:start comes first.')
    if (viewer.connection.isAnswered) throw new Refusal('CAMERA_BAD_SIGNAL', 'The offer was answered before.')
    try {
      viewer.connection.accept(sdp)
    } catch (error) {
      this.#drop(viewer)
      throw error
    }
  }

  /** Takes a client's candidate, also before what it belongs to. False if it is not used. Throws a Refusal for too many. */
  candidate({ clientId }: Who, line: string): boolean {
    const connection = this.#viewers.get(clientId)?.connection
    if (connection) return connection.addCandidate(line)
    const early = this.#early.get(clientId) ?? []
    if (early.length >= mostCandidates || (!this.#early.has(clientId) && this.#early.size >= mostEarly))
      throw new Refusal('CAMERA_BAD_SIGNAL', `More than ${mostCandidates} candidates are not looked at.`)
    this.#early.set(clientId, [...early, line])
    const candidate = parseCandidate(line)
    return candidate !== undefined && mayDial(candidate, this.#parts.connection())
  }

  /** The client does not watch any more, or may not. */
  stop(clientId: string): void {
    this.#early.delete(clientId)
    const viewer = this.#viewers.get(clientId)
    if (viewer) this.#drop(viewer)
  }

  close(): void {
    for (const viewer of [...this.#viewers.values()]) this.#drop(viewer)
    clearInterval(this.#timer)
  }

  async #begin(who: Who, resolution: Resolution, signal: AbortSignal, greet: (connection: Connection) => void): Promise<void> {
    const { lens, library, maxViewers, changed, failed } = this.#parts
    const before = this.#viewers.get(who.clientId)
    if (!before && this.#viewers.size >= maxViewers)
      throw new Refusal('CAMERA_TOO_MANY_VIEWERS', `${maxViewers} watch already, and no more are allowed.`)
    if (before) this.#drop(before)
    const events = { interrupted: (problem: Problem) => failed(who, problem), changed }
    const viewer = new Viewer(who, resolution, lens, events)
    this.#viewers.set(who.clientId, viewer)
    this.#timer ??= setInterval(() => this.#look(), pace.lookMs)
    const drop = () => this.#drop(viewer)
    signal.addEventListener('abort', drop, { once: true })
    try {
      const connection = this.#connect(viewer, library())
      viewer.connection = connection
      greet(connection)
      for (const line of this.#early.get(who.clientId) ?? []) connection.addCandidate(line)
      this.#early.delete(who.clientId)
      changed()
      await viewer.show(resolution)
    } catch (error) {
      this.#drop(viewer)
      throw error
    } finally {
      signal.removeEventListener('abort', drop)
    }
  }

  #connect(viewer: Viewer, library: Library): Connection {
    const { who } = viewer
    const events: ConnectionEvents = {
      description: (type, sdp) => this.#parts.description(who, type, sdp),
      candidate: (text, mid) => this.#parts.candidate(who, text, mid),
      open: () => viewer.open(),
      closed: (why) => {
        // Whoever hangs up knows it.
        if (why === 'closed' && viewer.isOpen) this.#drop(viewer)
        else this.#lose(viewer)
      },
      report: (report) => viewer.hear(report),
    }
    return new Connection(library, who.clientId, this.#parts.connection(), events)
  }

  /** Its connection broke off or never was. */
  #lose(viewer: Viewer): void {
    const { who, isOpen, connection } = viewer
    if (!this.#drop(viewer)) return
    const { iceServers, relayOnly } = this.#parts.connection()
    const way = iceServers.length > 0 ? 'no way, not even over the relay (is the TURN server reached?)' : 'no direct way'
    const mend =
      iceServers.length > 0 || relayOnly ? '' : ' Join the network of this machine, or have its owner set a TURN server.'
    const refusal = isOpen
      ? new Refusal('CAMERA_CONNECTION_LOST', 'The connection for the picture broke off. Start again.')
      : connection?.isAnswered
        ? new Refusal('CAMERA_NO_PATH', `Between your device and this machine there is ${way} for the picture.${mend}`)
        : new Refusal('CAMERA_CONNECTION_LOST', 'The offer of the picture was not answered.')
    this.#parts.failed(who, refusal)
  }

  /** False if it was before. */
  #drop(viewer: Viewer): boolean {
    if (viewer.isClosed) return false
    viewer.close()
    if (this.#viewers.get(viewer.who.clientId) === viewer) this.#viewers.delete(viewer.who.clientId)
    if (this.#viewers.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      this.quality.reset()
      this.#parts.lens.retarget(this.quality.target)
    }
    this.#parts.changed()
    return true
  }

  #look(): void {
    const now = Date.now()
    for (const viewer of [...this.#viewers.values()]) {
      const isLate = !viewer.isOpen && now - viewer.startedAt > pace.connectMs
      const isSilent = viewer.isOpen && now - viewer.heardAt > pace.silenceMs
      if (isLate || isSilent) this.#lose(viewer)
    }
    if (now - this.#concludedAt < pace.concludeMs) return
    this.#concludedAt = now
    this.#conclude(now)
  }

  #conclude(now: number): void {
    const open = [...this.#viewers.values()].filter(({ isOpen }) => isOpen)
    for (const viewer of open) {
      viewer.measure()
      viewer.estimate.conclude(viewer.sentKbps)
    }
    const allowedKbps = open.map(({ estimate }) => estimate.allowedKbps)
    if (this.quality.step({ allowedKbps, busy: this.#busy(), now })) this.#parts.lens.retarget(this.quality.target)
    for (const viewer of open) {
      const { allowedKbps } = viewer.estimate
      const resolution = viewer.place.step(allowedKbps, this.quality.target.bitrateKbps, now)
      // If that fails it is tried at the next occasion; the picture goes on as it was.
      if (resolution) void viewer.show(resolution).catch(() => undefined)
    }
    this.#parts.changed()
  }
}
