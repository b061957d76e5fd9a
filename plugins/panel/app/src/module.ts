import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals'
import type { Answer, Failure, ModuleContract, PluginStatus } from './contract.ts'
import type { Link } from './link.ts'

/** What was heard last of an event. */
export interface Heard {
  readonly value: unknown
  /** Milliseconds since the epoch, when it arrived. */
  readonly at: number
  /** Of the connection and the run of the module on which it came; another one makes it stale. */
  readonly run: string
}
export interface Standing {
  readonly state: PluginStatus['state'] | 'unknown'
  readonly reason?: string
}

/** A person may be asked while a command runs, and its deadline stands still meanwhile. After that the connection is dead. */
const patienceMs = 75_000
const failure = (code: string, error: string): Failure => ({ success: false, code, error })

/**
 * A module as its panel sees it, whosever panel that is. `on` and `send` are all that a stranger's gets, through its frame.
 */
export class Module {
  readonly id: string
  readonly contract: Signal<ModuleContract>
  readonly standing = signal<Standing>({ state: 'unknown' })
  /** Commands that are under way, by name. */
  readonly pending = signal<ReadonlyMap<string, number>>(new Map())
  readonly #link: Link
  readonly #heard = new Map<string, Signal<Heard | undefined>>()
  #watchers = 0
  /** Counts runs of the module, and times that it was listened to. */
  readonly #run = signal(0)

  constructor(contract: ModuleContract, link: Link) {
    this.id = contract.id
    this.contract = signal(contract)
    this.#link = link
  }

  /** The last value of an event, as a signal. Whether it still holds says `isFresh`. */
  heard(event: string): Signal<Heard | undefined> {
    const found = this.#heard.get(event) ?? signal<Heard | undefined>(undefined)
    this.#heard.set(event, found)
    return found
  }

  isFresh(heard: Heard | undefined): boolean {
    return heard !== undefined && this.#link.state.value.is === 'online' && heard.run === this.#currentRun()
  }

  /** Calls back with the last value of an event, if there is one, and with every later one. Returns what ends that. */
  on(event: string, callback: (value: unknown, at: number) => void): () => void {
    return this.heard(event).subscribe((heard) => {
      if (heard) callback(heard.value, heard.at)
    })
  }

  /** Gives a command. Never rejects; answered once, also when the machine is gone. */
  async send(name: string, payload?: unknown): Promise<Answer> {
    if (this.#link.state.peek().is !== 'online') return failure('OFFLINE', 'The machine is not connected; nothing was sent.')
    const timeoutMs = this.contract.peek().commands.find((command) => command.name === name)?.timeoutMs ?? 10_000
    this.#count(name, 1)
    try {
      const args = payload === undefined ? [] : [payload]
      return (await this.#link.socket.timeout(timeoutMs + patienceMs).emitWithAck(name, ...args)) as Answer
    } catch {
      return failure('LOST', 'The connection broke before the answer came. It may have been done.')
    } finally {
      this.#count(name, -1)
    }
  }

  /** Listens to it from now on. Returns what ends that; the last to go ends the subscription. */
  watch(): () => void {
    if (this.#watchers++ === 0) void this.subscribe()
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      if (--this.#watchers > 0) return
      this.#run.value++
      if (this.#link.state.value.is === 'online') this.#link.socket.emit('module:unsubscribe', { module: this.id })
    }
  }

  /** Asks for it on this connection, if somebody watches. */
  async subscribe(): Promise<void> {
    if (this.#watchers === 0 || this.#link.state.value.is !== 'online' || !this.contract.value.isReachable) return
    const answer = (await this.#link.socket
      .timeout(10_000)
      .emitWithAck('module:subscribe', { module: this.id })
      .catch(() => failure('LOST', ''))) as Answer
    if (answer.success) this.stand(answer as unknown as Standing)
    else if (answer.code !== 'LOST') this.refusal.value = answer
  }

  /** What it said last about a failure that belongs to no command. */
  readonly problem = signal<{ readonly code: string; readonly message: string } | undefined>(undefined)
  /** Why this user may not listen to it. */
  readonly refusal = signal<Failure | undefined>(undefined)

  /** It has come to this state. Whatever it said in an earlier run is stale. */
  stand({ state, reason }: Standing): void {
    if (this.standing.value.state === 'running' && state !== 'running') {
      this.#run.value++
      this.problem.value = undefined
    }
    this.standing.value = { state, ...(reason !== undefined && { reason }) }
  }

  hear(event: string, value: unknown): void {
    this.heard(event).value = { value, at: Date.now(), run: this.#currentRun() }
  }

  isPending(command: string): boolean {
    return this.pending.value.has(command)
  }

  #currentRun(): string {
    return `${this.#link.epoch.value}/${this.#run.value}`
  }

  #count(name: string, step: 1 | -1): void {
    const pending = new Map(this.pending.peek())
    const count = (pending.get(name) ?? 0) + step
    if (count > 0) pending.set(name, count)
    else pending.delete(name)
    this.pending.value = pending
  }
}

/** What the app has: every module there is, by id, in the order of their ids. */
export class Modules {
  readonly all = signal<ReadonlyMap<string, Module>>(new Map())
  readonly plugins = signal<ReadonlyMap<string, PluginStatus>>(new Map())
  readonly #link: Link
  readonly #byEvent = new Map<string, Module>()
  readonly isKnown: ReadonlySignal<boolean>

  constructor(link: Link) {
    this.#link = link
    // The two that the app itself lives by; what they say is described by themselves once it is here.
    for (const id of ['host', 'panel']) this.#add({ ...bare, id }).watch()
    this.isKnown = computed(() => this.all.value.size > 2)
    link.epoch.subscribe((epoch) => {
      if (epoch > 0) for (const module of this.all.value.values()) void module.subscribe()
    })
    link.socket.onAny((event: string, value: unknown) => this.#ownerOf(event)?.hear(event, value))
    link.socket.on(
      'error',
      ({ module, code, message, event }: { module: string; code: string; message: string; event?: string }) => {
        const found = this.all.value.get(module)
        // What belongs to a command is in its answer.
        if (found && event === undefined) found.problem.value = { code, message }
      },
    )
    link.socket.on('panel:modules', (contracts: ModuleContract[]) => this.#describe(contracts))
    link.socket.on('host:plugins', (rows: PluginStatus[]) => {
      this.plugins.value = new Map(rows.map((row) => [row.id, row]))
      for (const row of rows) this.all.value.get(row.id)?.stand(row)
    })
  }

  /** Whether what this module shows and does is not real. */
  isSimulated(id: string): boolean {
    return this.plugins.value.get(id)?.simulated === true
  }

  /** Before the modules have been described, the two that are here from the start have their events by name. */
  #ownerOf(event: string): Module | undefined {
    return this.#byEvent.get(event) ?? (this.isKnown.peek() ? undefined : this.all.peek().get(event.split(':')[0] ?? ''))
  }

  #add(contract: ModuleContract): Module {
    const module = new Module(contract, this.#link)
    const all: Array<[string, Module]> = [...this.all.value, [module.id, module]]
    this.all.value = new Map(all.sort(([one], [other]) => (one < other ? -1 : 1)))
    return module
  }

  #describe(contracts: readonly ModuleContract[]): void {
    const ids = new Set(contracts.map(({ id }) => id))
    for (const contract of contracts) {
      const known = this.all.value.get(contract.id)
      if (known) known.contract.value = contract
      else {
        const status = this.plugins.value.get(contract.id)
        const module = this.#add(contract)
        if (status) module.stand(status)
      }
    }
    if ([...this.all.value.keys()].some((id) => !ids.has(id)))
      this.all.value = new Map([...this.all.value].filter(([id]) => ids.has(id)))
    this.#byEvent.clear()
    for (const module of this.all.value.values())
      for (const { name } of module.contract.value.events) this.#byEvent.set(name, module)
  }
}

const bare: Omit<ModuleContract, 'id'> = {
  version: '',
  builtin: true,
  namespace: '/',
  isReachable: true,
  subscribeRole: 'viewer',
  commands: [],
  events: [],
  errors: {},
}
