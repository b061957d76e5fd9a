import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../plugin/capabilities.ts'
import type { Needs } from '../plugin/contract.ts'
import type { PluginStatus } from '../plugin/host-control.ts'
import { within } from '../process/deadline.ts'
import { Run } from '../process/run.ts'
import { refuse } from '../wire/errors.ts'
import { Module, type State } from '../wire/module.ts'
import { loadValidator, settingsCheck } from '../wire/validate.ts'
import { describeGrant } from './grants.ts'
import { watchNeeds } from './needs.ts'
import { Patience } from './patience.ts'
import type { Found } from './read-package.ts'
import type { UnitParts, Wish } from './unit-parts.ts'

/** One plugin of the machine and its states. All that happens to it happens one after the other. */
export class Unit {
  found: Found
  #wish: Wish
  readonly #parts: UnitParts
  /** What clients see of it, whatever its state. */
  #module: Module | undefined
  #run: Run | undefined
  /** Those that are watched. */
  #needs: Needs | undefined
  #unwatchNeeds: (() => void) | undefined
  #missing: readonly Finding[] = []
  readonly #patience: Patience
  #state: State = 'disabled'
  #reason: string | undefined
  #since = Date.now()
  #mustRestart = false
  #isGone = false
  #queue: Promise<void> = Promise.resolve()
  /** Milliseconds that the last start took, for the boot tree. */
  startMs: number | undefined
  /** Times it reached `running`, and times it failed, since the host started. */
  readonly tally = { starts: 0, failures: 0 }

  constructor(found: Found, wish: Wish, parts: UnitParts) {
    this.found = found
    this.#wish = wish
    this.#parts = parts
    this.#patience = new Patience(parts.pace.retryMs, () => void this.converge())
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
      namespace: this.#wish.namespace,
      runIn: this.#wish.runIn,
      ...(this.#wish.asks.length > 0 && { asks: this.#wish.asks.map(describeGrant) }),
      ...(this.#parts.loader.isStale(this.found) && { restartPending: true }),
      since: this.#since,
    }
  }

  /** What the drivers of a plugin that runs find. */
  async diagnose(): Promise<readonly Finding[]> {
    return (await this.#run?.diagnose(this.#parts.pace.diagnoseMs)) ?? []
  }

  /** New facts: what lies on disk, what the configuration says. Resolves when it has come to rest. */
  update(found: Found, wish: Wish): Promise<void> {
    const areOtherSettings = !isDeepStrictEqual(wish.settings, this.#wish.settings)
    if (areOtherSettings || found.digest !== this.found.digest) this.#patience.forgive()
    this.#mustRestart ||= areOtherSettings || wish.namespace !== this.#wish.namespace
    this.found = found
    this.#wish = wish
    return this.converge()
  }

  /** Stops and starts it, out of quarantine too. Resolves when it has come to rest. */
  restart(): Promise<void> {
    this.#patience.forgive()
    this.#mustRestart = true
    return this.converge()
  }

  /** Stops it for good. */
  remove(): Promise<void> {
    this.#isGone = true
    return this.converge()
  }

  /** An exception came out of its code that nobody caught. */
  fail(error: Error): void {
    this.#parts.pluginLog.error({ err: error }, 'an exception nobody caught')
    this.#run?.fail(`An exception nobody caught: ${error.message}`)
  }

  /** Brings it to the state that fits the facts. */
  converge(): Promise<void> {
    const { log } = this.#parts
    this.#queue = this.#queue.then(() => this.#step()).catch((err: unknown) => log.error({ err }, 'could not change its state'))
    return this.#queue
  }

  /**
   * Shows it to clients, unless another plugin is in the way: then says which. Changed, it takes the place of what it was, and
   * subscriptions stand. A package that cannot be read any more stays what it was.
   */
  mount(): string | undefined {
    const { hub } = this.#parts
    const { contract, problem } = this.found
    const { namespace } = this.#wish
    const before = this.#module
    if (this.#run || !contract) return undefined
    if (!problem && before?.mount === namespace && isDeepStrictEqual(before.contract, contract)) return undefined
    const subscribers = before?.mount === namespace ? [...before.subscribers] : []
    this.#unmount()
    if (problem) return undefined
    const module = new Module(contract, namespace)
    const conflict = hub.add(module)
    if (conflict) return conflict
    this.#module = module
    for (const client of subscribers) hub.subscribe(client, module)
    return undefined
  }

  #unmount(): void {
    if (this.#module) this.#parts.hub.remove(this.#module)
    this.#module = undefined
  }

  async #step(): Promise<void> {
    const { problem, contract: { needs = {} } = {} } = this.found
    const { enabled, heldBack } = this.#wish
    const mayRun = enabled && !heldBack && !problem && !this.#isGone
    if (this.#run && (!mayRun || this.#mustRestart || this.#missing.length > 0)) await this.#stop(this.#run)
    this.#mustRestart = false
    if (!mayRun) this.#forgetNeeds()
    if (this.#isGone) return this.#unmount()
    const conflict = this.mount()
    if (problem ?? conflict) return this.#set('failed', problem ?? conflict)
    if (!enabled || heldBack) return this.#set('disabled', heldBack ?? 'It is not switched on in plugins.json.')
    if (this.#run) return
    if (!isDeepStrictEqual(needs, this.#needs)) await this.#watchNeeds(needs)
    if (this.#missing.length > 0) return this.#set('unavailable', this.#missing.map(sentenceOf).join(' '))
    if (!this.#patience.mayTry) return
    await this.#start(this.#module as Module)
  }

  /** Resolves when it is known what is missing; later changes come by themselves. */
  #watchNeeds(needs: Needs): Promise<void> {
    this.#unwatchNeeds?.()
    this.#needs = needs
    return new Promise((resolve) => {
      this.#unwatchNeeds = watchNeeds(needs, { bus: this.#parts.bus }, (missing) => {
        this.#missing = missing
        resolve()
        void this.converge()
      })
    })
  }

  #forgetNeeds(): void {
    this.#unwatchNeeds?.()
    this.#unwatchNeeds = undefined
    this.#needs = undefined
    this.#missing = []
    this.#patience.forgive()
  }

  /** Its settings with their defaults, or what is wrong with them or with the contract's schemas. */
  #judge(module: Module): { settings: object; problem?: string } {
    try {
      // The tests have compiled the schemas of what comes with Patchbay; not doing it again makes the start quicker.
      if (!this.found.builtin) module.compile()
      const { settings, problem } = settingsCheck(module.contract.settings, this.#wish.settings)
      return { settings, ...(problem && { problem: `Its settings in plugins.json do not fit: ${problem}.` }) }
    } catch (error) {
      return { settings: {}, problem: `Its contract has a schema that is none: ${(error as Error).message}.` }
    }
  }

  async #start(module: Module): Promise<void> {
    const { hub, loader, pluginLog: log, development, pace } = this.#parts
    if (loader.isStale(this.found)) return this.#set('failed', 'Its code changed; restart Patchbay to load it.')
    await loadValidator()
    const { settings, problem } = this.#judge(module)
    if (problem) return this.#set('failed', problem)
    this.#set('starting')
    const begun = performance.now()
    const onFail = (reason: string) => {
      this.#mustRestart = true
      this.#noteFailure(reason)
      void this.converge()
    }
    const capabilities = this.#parts.capabilities(module.contract)
    const run = new Run({ hub, development, module, log, settings, capabilities, onFail })
    this.#run = run
    try {
      await run.start(() => loader.load(this.found), pace.startMs)
    } catch (error) {
      log.error({ err: error }, 'could not start')
      await this.#end(run, module)
      return this.#noteFailure(error instanceof Error ? error.message : String(error))
    }
    this.startMs = performance.now() - begun
    this.tally.starts++
    this.#set('running')
    run.goLive()
  }

  async #stop(run: Run): Promise<void> {
    if (this.#state === 'running') this.#set('stopping')
    await this.#end(run, this.#module as Module)
  }

  async #end(run: Run, module: Module): Promise<void> {
    const { road, log, pace } = this.#parts
    const refusal =
      this.#state === 'stopping' ? refuse('MODULE_UNAVAILABLE', `${module.id} is stopping.`) : refuse('MODULE_FAILED')
    const ended = run.end()
    road.calls.end((call) => call.command.module === module, refusal)
    await within(ended, pace.stopMs, `it did not stop within ${pace.stopMs / 1000} s`).catch((err: unknown) =>
      log.error({ err }, 'could not stop'),
    )
    run.clear()
    this.#run = undefined
  }

  /** Backs off, or gives up. */
  #noteFailure(reason: string): void {
    this.tally.failures++
    if (this.#patience.bear()) this.#set('failed', reason)
    else this.#set('quarantined', `It failed five times in five minutes. Last: ${reason}`)
  }

  #set(state: State, reason?: string): void {
    if (state === this.#state && reason === this.#reason) return
    this.#state = state
    this.#reason = reason
    this.#since = Date.now()
    if (this.#module) Object.assign(this.#module, { state, reason })
    this.#parts.log[state === 'failed' || state === 'quarantined' ? 'warn' : 'info']({ state, reason }, `is ${state}`)
    this.#parts.onChange(this.status)
  }
}

function sentenceOf({ sentence, mend }: Finding): string {
  return mend ? `${sentence} Mend it with: ${mend}` : sentence
}
