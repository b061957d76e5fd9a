import type { Posted } from './events.ts'
import type { Repository } from './repository.ts'

/** How a connection wants its events, and how far it has come. */
export interface Wishes {
  readonly acknowledge: boolean
  readonly bulk: boolean
  /** Of the newest event that it has. */
  readonly seq: number
}

/** What leaves for a connection. */
interface Message {
  readonly event: string
  readonly payload: object
  /** Of the newest event that is in it. */
  readonly seq: number
}

export interface DeliveryParts {
  readonly repository: Pick<Repository, 'eventsAfter' | 'saveDelivered'>
  send(socketId: string, event: string, payload: object): void
  /** Rejects if it was not acknowledged in time. */
  ask(socketId: string, event: string, payload: object, timeoutMs: number): Promise<unknown>
  /** It does not acknowledge: it shall come again, and gets what it missed. */
  close(socketId: string): void
  /** Milliseconds until an event is sent again. */
  readonly retryMs: number
  onError(error: unknown): void
}

/** A change of fields is told again by the next; these are not. */
const critical = new Set(['area_added', 'area_removed', 'area_enabled', 'area_disabled'])
const most = { tries: 5, waiting: 200 }
const saveMs = 1000

/** One connection of a client: gets its events one after the other, each once. */
class Link {
  readonly clientId: string
  readonly #socketId: string
  readonly #parts: DeliveryParts
  readonly #wishes: Wishes
  /** Of the newest event that it was given, with `acknowledge` of those it has acknowledged where that is asked. */
  seq: number
  #waiting: Posted[] = []
  /** What it lacks is only in the store. */
  #mustRead = true
  #isBusy = false
  isOver = false

  constructor(clientId: string, socketId: string, wishes: Wishes, parts: DeliveryParts) {
    this.clientId = clientId
    this.#socketId = socketId
    this.#wishes = wishes
    this.#parts = parts
    this.seq = wishes.seq
  }

  add(posted: Posted): void {
    const last = this.#waiting.at(-1)?.seq ?? this.seq
    if (posted.seq <= last || this.#mustRead) return
    if (posted.seq === last + 1 && this.#waiting.length < most.waiting) this.#waiting.push(posted)
    else this.#mustRead = true
  }

  async run(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      while (!this.isOver && (this.#mustRead || this.#waiting.length > 0)) {
        if (this.#mustRead) await this.#read()
        else await this.#next()
      }
    } catch (error) {
      this.#parts.onError(error)
      this.#parts.close(this.#socketId)
    } finally {
      this.#isBusy = false
    }
  }

  async #read(): Promise<void> {
    this.#mustRead = false
    const { seq } = this
    // What is posted while this is read is in it, or comes after it with the right number, or has this read once more.
    const found = await this.#parts.repository.eventsAfter(this.clientId, seq)
    const come = this.#waiting.filter((posted) => posted.seq > (found.at(-1)?.seq ?? seq))
    this.#waiting = found
    for (const posted of come) this.add(posted)
  }

  async #next(): Promise<void> {
    const { event, payload, seq } = this.#take()
    const { send, ask, close, retryMs } = this.#parts
    if (!this.#wishes.acknowledge || !critical.has(event)) send(this.#socketId, event, payload)
    else {
      let tries = 0
      while (!(await ask(this.#socketId, event, payload, retryMs * 2 ** tries).then(isTrue, isFalse))) {
        if (this.isOver) return
        if (++tries >= most.tries) return close(this.#socketId)
      }
    }
    this.seq = seq
  }

  /** The next event, or all of a change at once. */
  #take(): Message {
    const [first, ...more] = this.#waiting as [Posted, ...Posted[]]
    const others = more.findIndex(({ batch }) => batch !== first.batch)
    const group =
      first.batch === null || !this.#wishes.bulk ? [first] : [first, ...more.slice(0, others < 0 ? undefined : others)]
    this.#waiting.splice(0, group.length)
    const seq = (group.at(-1) as Posted).seq
    const eventId = String(seq)
    if (group.length === 1) return { event: first.event, payload: { ...first.payload, eventId }, seq }
    const areas = group.map(({ payload }) => payload)
    const { timestamp } = first.payload as { timestamp?: string }
    const message = 'Areas have been updated by admin'
    return { event: 'areas_updated', payload: { areas, count: areas.length, message, timestamp, eventId }, seq }
  }
}

const isTrue = () => true
const isFalse = () => false

/** Brings to every connection of this host what was written down for its client. */
export class Delivery {
  readonly #parts: DeliveryParts
  readonly #links = new Map<string, Link>()
  readonly #byClient = new Map<string, Set<Link>>()
  /** How far clients have come, to be saved. */
  #reached = new Map<string, number>()
  #beingSaved: ReadonlyMap<string, number> = new Map()
  #saving: Promise<void> = Promise.resolve()
  readonly #timer: NodeJS.Timeout

  constructor(parts: DeliveryParts) {
    this.#parts = parts
    this.#timer = setInterval(() => void this.#save(), saveMs).unref()
  }

  /** Connections of a client here. */
  connections(clientId: string): number {
    return this.#byClient.get(clientId)?.size ?? 0
  }

  add(clientId: string, socketId: string, wishes: Wishes): void {
    const link = new Link(clientId, socketId, wishes, this.#parts)
    this.#links.set(socketId, link)
    const links = this.#byClient.get(clientId) ?? new Set()
    this.#byClient.set(clientId, links.add(link))
    this.#run(link)
  }

  remove(socketId: string): void {
    const link = this.#links.get(socketId)
    if (!link) return
    link.isOver = true
    this.#note(link)
    this.#links.delete(socketId)
    const links = this.#byClient.get(link.clientId)
    links?.delete(link)
    if (links?.size === 0) this.#byClient.delete(link.clientId)
    // Who comes again at once, perhaps to another host, finds how far it was.
    void this.#save()
  }

  /** What was just written down. */
  post(posted: readonly Posted[]): void {
    const links = new Set<Link>()
    for (const each of posted)
      for (const link of this.#byClient.get(each.clientId) ?? []) {
        link.add(each)
        links.add(link)
      }
    for (const link of links) this.#run(link)
  }

  /** Resolves when what was under way is saved. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const link of this.#links.values()) {
      link.isOver = true
      this.#note(link)
    }
    await this.#save()
  }

  /** How far a client has come here and is not saved yet. */
  reached(clientId: string): number {
    return Math.max(this.#reached.get(clientId) ?? 0, this.#beingSaved.get(clientId) ?? 0)
  }

  #run(link: Link): void {
    void link.run().then(() => this.#note(link))
  }

  #note({ clientId, seq }: Link): void {
    this.#reached.set(clientId, Math.max(seq, this.reached(clientId)))
  }

  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      if (this.#reached.size === 0) return
      const saved = this.#reached
      this.#beingSaved = saved
      this.#reached = new Map()
      await this.#parts.repository.saveDelivered(saved).catch((error: unknown) => {
        for (const id of saved.keys()) this.#reached.set(id, this.reached(id))
        this.#parts.onError(error)
      })
      this.#beingSaved = new Map()
    })
    return this.#saving
  }
}
