import type { SystemBus } from '../capabilities/dbus.ts'
import type { Capabilities, PluginStatus } from '../plugin/capabilities.ts'
import type { Log } from '../plugin/context.ts'
import type { Contract } from '../plugin/contract.ts'
import { refuse } from '../wire/errors.ts'
import type { Hub } from '../wire/hub.ts'
import { Module, type State } from '../wire/module.ts'
import type { Road } from '../wire/road.ts'
import { loadValidator, settingsCheck } from '../wire/validate.ts'
import type { Found } from './read-package.ts'
import type { Loader } from '../process/loader.ts'
import { type Finding, watchNeeds } from './needs.ts'
import { Run } from '../process/run.ts'

const startMs = 15_000
const stopMs = 5_000
const quarantineAfter = 5
const quarantineWindowMs = 5 * 60_000

/** What the configuration says of a plugin. */
export interface Wish {
  readonly enabled: boolean
  readonly namespace: string
  readonly settings: Readonly<Record<string, unknown>>
}

export interface UnitParts {
  readonly hub: Hub
  readonly road: Road
  readonly loader: Loader
  readonly bus: SystemBus
  readonly log: Log
  readonly development: boolean
  readonly capabilities: (contract: Contract) => Capabilities<Contract>
  readonly onChange: () => void
}

/** One plugin of the machine and its states. All that happens to it happens one after the other. */
export class Unit {
  found: Found
  wish: Wish
  readonly #parts: UnitParts
  #module: Module | undefined
  #run: Run | undefined
  #missing: Finding[] | undefined
  #unwatchNeeds: (() => unknown) | undefined
  #failures: number[] = []
  #retry: NodeJS.Timeout | undefined
  #state: State = 'disabled'
  #reason: string | undefined
  #since = Date.now()
  #restart = false
  #gone = false
  #queue: Promise<void> = Promise.resolve()
  /** Milliseconds that the last start took, for the boot tree. */
  startMs: number | undefined

  constructor(found: Found, wish: Wish, parts: UnitParts) {
    this.found = found
    this.wish = wish
    this.#parts = parts
  }

  get status(): PluginStatus {
    const { id, description, version, builtin } = this.found
    return {
      id,
      state: this.#state,
      ...(this.#reason && { reason: this.#reason }),
      ...(description && { description }),
      version,
      builtin,
      namespace: this.wish.namespace,
      ...(this.#parts.loader.isStale(this.found) && { restartPending: true }),
      since: this.#since,
    }
  }

  /** New facts: what lies on disk, what the configuration says. */
  update(found: Found, wish: Wish): Promise<void> {
    const settingsChanged = JSON.stringify(wish.settings) !== JSON.stringify(this.wish.settings)
    if (settingsChanged || found.digest !== this.found.digest) this.#release()
    this.#restart ||= settingsChanged || wish.namespace !== this.wish.namespace
    this.found = found
    this.wish = wish
    return this.#converge()
  }

  /** Stops and starts it, out of quarantine too. */
  restart(): Promise<void> {
    this.#release()
    this.#restart = true
    return this.#converge()
  }

  /** It broke while it ran. */
  fail(reason: string): void {
    if (!this.#run) return
    this.#parts.log.error({ reason }, 'the plugin failed')
    this.#noteFailure(reason)
    this.#restart = true
    void this.#converge()
  }

  /** Stops it for good. */
  remove(): Promise<void> {
    this.#gone = true
    return this.#converge()
  }

  /** Forgets past failures: the next start is tried at once. */
  #release(): void {
    this.#failures = []
    clearTimeout(this.#retry)
    this.#retry = undefined
  }

  #converge(): Promise<void> {
    this.#queue = this.#queue.then(() => this.#step()).catch((error: unknown) => this.#parts.log.error({ err: error }, 'a state change failed'))
    return this.#queue
  }

  async #step(): Promise<void> {
    const { problem } = this.found
    const wanted = this.wish.enabled && !this.#gone
    if (this.#run && (!wanted || problem || this.#missing?.length || this.#restart)) await this.#stop()
    this.#restart = false
    if (!wanted || problem) this.#forgetNeeds()
    const conflict = this.#mountIfNeeded()
    if (this.#gone) return this.#unmount()
    if (problem) return this.#set('failed', problem)
    if (conflict) return this.#set('failed', conflict)
    if (!wanted) return this.#set('disabled', 'Switched off in plugins.json.')
    if (this.#run) return
    if (!this.#unwatchNeeds) return this.#watchNeeds()
    if (!this.#missing) return
    if (this.#missing.length > 0) return this.#set('unavailable', this.#missing.map((finding) => finding.sentence).join(' '))
    if (this.#retry || this.#failures.length >= quarantineAfter) return
    await this.#start()
  }

  /** Shows it to clients, in whatever state; says what is in the way. */
  #mountIfNeeded(): string | undefined {
    const { contract } = this.found
    const current = this.#module
    if (current && (this.#run || (current.contract === contract && current.mount === this.wish.namespace))) return undefined
    this.#unmount()
    if (!contract || this.#gone) return undefined
    const module = new Module(contract, this.wish.namespace)
    const conflict = this.#parts.hub.add(module)
    if (!conflict) this.#module = module
    return conflict
  }

  #unmount(): void {
    if (this.#module) this.#parts.hub.remove(this.#module)
    this.#module = undefined
  }

  #watchNeeds(): void {
    const onChange = (missing: Finding[]) => {
      this.#missing = missing
      void this.#converge()
    }
    this.#unwatchNeeds = watchNeeds(this.found.contract?.needs ?? {}, { bus: this.#parts.bus }, onChange)
  }

  #forgetNeeds(): void {
    this.#unwatchNeeds?.()
    this.#unwatchNeeds = undefined
    this.#missing = undefined
    this.#release()
  }

  async #start(): Promise<void> {
    const { loader, log, capabilities, hub, development } = this.#parts
    const module = this.#module as Module
    const begun = performance.now()
    if (loader.isStale(this.found)) return this.#set('failed', 'Its code changed; restart Patchbay to load it.')
    this.#set('starting')
    let run: Run | undefined
    try {
      await loadValidator()
      const { settings, problem } = settingsCheck(module.contract.settings, this.wish.settings)
      if (problem) throw new Error(`its settings in plugins.json do not fit: ${problem}`)
      const plugin = await loader.load(this.found)
      run = new Run({
        hub,
        module,
        log,
        settings,
        development,
        capabilities: capabilities(module.contract),
        onFail: (reason) => this.fail(reason),
      })
      await withDeadline(plugin.start(run.context), startMs, `it did not start within ${startMs / 1000} s`)
      const [missing] = run.missingHandlers()
      if (missing) throw new Error(`its contract declares the command ${missing}, which it does not handle`)
    } catch (error) {
      log.error({ err: error }, 'could not start')
      if (run) await this.#end(run, module)
      return this.#noteFailure(error instanceof Error ? error.message : String(error))
    }
    this.#run = run
    this.startMs = performance.now() - begun
    this.#set('running')
    run.goLive()
  }

  async #stop(): Promise<void> {
    const run = this.#run as Run
    const module = this.#module as Module
    const { state, reason } = { state: this.#state, reason: this.#reason }
    if (state === 'running') this.#set('stopping')
    this.#run = undefined
    await this.#end(run, module)
    if (state !== 'running') this.#set(state, reason)
  }

  async #end(run: Run, module: Module): Promise<void> {
    const { road, log } = this.#parts
    const refusal = this.#state === 'stopping' ? refuse('MODULE_UNAVAILABLE', `${module.id} is stopping.`) : refuse('MODULE_FAILED')
    road.calls.end((call) => call.command.module === module, refusal)
    await withDeadline(run.end(), stopMs, `it did not stop within ${stopMs / 1000} s`).catch((error: unknown) => log.error({ err: error }, 'could not stop'))
    run.clear()
  }

  /** Backs off, or gives up. */
  #noteFailure(reason: string): void {
    const now = Date.now()
    this.#failures = [...this.#failures.filter((at) => at > now - quarantineWindowMs), now]
    if (this.#failures.length >= quarantineAfter) return this.#set('quarantined', `It failed ${quarantineAfter} times in five minutes. Last: ${reason}`)
    const delay = Math.min(1000 * 2 ** (this.#failures.length - 1), 60_000)
    this.#set('failed', reason)
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      void this.#converge()
    }, delay).unref()
  }

  #set(state: State, reason?: string): void {
    if (state === this.#state && reason === this.#reason) return
    this.#state = state
    this.#reason = reason
    this.#since = Date.now()
    if (this.#module) Object.assign(this.#module, { state, reason })
    this.#parts.log[state === 'failed' || state === 'quarantined' ? 'warn' : 'info']({ state, ...(reason && { reason }) }, `is ${state}`)
    this.#parts.onChange()
  }
}

async function withDeadline<T>(work: T | Promise<T>, ms: number, sentence: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(sentence)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
