import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../plugin/capabilities.ts'
import type { PluginHealth, PluginStatus } from '../plugin/host-control.ts'
import { read } from '../process/bounded-copy.ts'
import { within } from '../process/deadline.ts'
import { isAway, Misfit, type ProcessFigures, type Running } from '../process/running.ts'
import { refuse } from '../wire/errors.ts'
import { Module, type State } from '../wire/module.ts'
import { containmentOf } from './containment.ts'
import { createRun } from './create-run.ts'
import { asksFor, describeGrant } from './grants.ts'
import { NeedsWatch } from './needs-watch.ts'
import { Patience } from './patience.ts'
import { clip } from './problem.ts'
import type { Found } from './read-package.ts'
import type { UnitParts, Wish } from './unit-parts.ts'

const simulation = 'SIMULATED: its settings ask for hardware that is not real.'

/** One plugin of the machine and its states. All that happens to it happens one after the other. */
export class Unit {
  found: Found
  #wish: Wish
  readonly #parts: UnitParts
  /** What clients see of it, whatever its state. */
  #module: Module | undefined
  #run: Running | undefined
  readonly #needs: NeedsWatch
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
  readonly #tally = { starts: 0, failures: 0 }

  constructor(found: Found, wish: Wish, parts: UnitParts) {
    this.found = found
    this.#wish = wish
    this.#parts = parts
    this.#needs = new NeedsWatch(parts.bus, () => void this.converge())
    this.#patience = new Patience(parts.pace.retryMs, () => void this.converge())
  }

  get status(): PluginStatus {
    const { id, description, version, builtin, contract, standsIn } = this.found
    const { runIn, asks, simulated } = this.#wish
    const reason = (this.#state === 'running' && standsIn) || this.#reason
    return {
      id,
      state: this.#state,
      ...(reason && { reason }),
      ...(description && { description }),
      version,
      builtin,
      namespace: this.#wish.namespace,
      runIn,
      ...(!builtin && { containment: containmentOf(runIn, contract ? asksFor(contract) : [], this.#parts.remote.hasUnits) }),
      ...(asks.length > 0 && { asks: asks.map(describeGrant) }),
      ...(this.#isStale && { restartPending: true }),
      ...(simulated && { simulated }),
      since: this.#since,
    }
  }

  /** Undefined unless a process of its own runs. */
  figures(): ProcessFigures | undefined {
    return this.#run?.figures()
  }

  health(): PluginHealth {
    const { starts, failures } = this.#tally
    const process = this.figures()
    const unanswered = this.#parts.road.calls.count((call) => call.command.module === this.#module)
    return { restarts: Math.max(0, starts - 1), failures, unanswered, ...(process && { process }) }
  }

  /** What the drivers of a plugin that runs find. */
  async diagnose(): Promise<readonly Finding[]> {
    return (await this.#run?.diagnose(this.#parts.pace.diagnoseMs)) ?? []
  }

  /** New facts: what lies on disk, what the configuration says. Resolves when it has come to rest. */
  update(found: Found, wish: Wish): Promise<void> {
    const areOtherSettings = !isDeepStrictEqual(wish.settings, this.#wish.settings)
    const isOtherCode = found.digest !== this.found.digest
    if (areOtherSettings || isOtherCode) this.#patience.forgive()
    const isElsewhere = wish.namespace !== this.#wish.namespace || wish.runIn !== this.#wish.runIn
    const isOtherProcess = wish.runIn === 'process' && (isOtherCode || wish.memoryMb !== this.#wish.memoryMb)
    this.#mustRestart ||= areOtherSettings || isElsewhere || isOtherProcess
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

  /** Stops it for good. Who is connected stays so. */
  stop(): Promise<void> {
    this.#isGone = true
    return this.converge()
  }

  /** And tells its clients that it is no more. */
  async remove(): Promise<void> {
    await this.stop()
    this.#unmount()
  }

  /** An exception came out of its code that nobody caught. */
  fail(error: unknown): void {
    this.#parts.pluginLog.error({ err: error }, 'an exception nobody caught')
    const said = read(error, 'message') ?? error
    const text = typeof said === 'string' ? said : `no Error, but of type ${typeof said}`
    this.#run?.fail?.(`An exception nobody caught: ${clip(text)}`)
  }

  /** Ends it without asking; for when nobody can wait any longer. */
  kill(): void {
    void this.#run?.clear()
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
    const { namespace, runIn } = this.#wish
    const before = this.#module
    if (this.#run || !contract) return undefined
    if (before) before.isRemote = runIn === 'process'
    if (!problem && before?.mount === namespace && isDeepStrictEqual(before.contract, contract)) return undefined
    const subscribers = before?.mount === namespace ? [...before.subscribers] : []
    this.#unmount()
    if (problem) return undefined
    const module = new Module(contract, namespace)
    module.isRemote = runIn === 'process'
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
    const { enabled, heldBack, simulated } = this.#wish
    const mayRun = enabled && !heldBack && !problem && !this.#isGone
    if (this.#run && (!mayRun || this.#mustRestart || this.#needs.problem)) await this.#stop(this.#run)
    this.#mustRestart = false
    if (!mayRun) {
      this.#needs.forget()
      this.#patience.forgive()
    }
    if (this.#isGone) return
    const conflict = this.mount()
    if (problem ?? conflict) return this.#set('failed', problem ?? conflict)
    if (!enabled || heldBack) return this.#set('disabled', heldBack ?? 'It is not switched on in plugins.json.')
    if (this.#run) return
    await this.#needs.watch(simulated ? {} : needs)
    if (this.#needs.problem) return this.#set('unavailable', this.#needs.problem)
    if (!this.#patience.mayTry) return
    await this.#start(this.#module as Module)
  }

  /** Other code than what lies on disk is in this process's memory, and stays there. */
  get #isStale(): boolean {
    return this.#wish.runIn === 'host' && this.#parts.loader.isStale(this.found)
  }

  async #start(module: Module): Promise<void> {
    const { pluginLog: log, pace } = this.#parts
    if (this.#isStale) return this.#set('failed', 'Its code changed; restart Patchbay to load it.')
    this.#set('starting')
    const begun = performance.now()
    const onFail = (reason: string) => {
      this.#mustRestart = true
      this.#noteFailure(reason)
      void this.converge()
    }
    const run = createRun(this.#parts, this.found, this.#wish, module, onFail)
    this.#run = run
    try {
      await run.start(pace.startMs)
    } catch (error) {
      const isMissing = isAway(error)
      if (!isMissing && !(error instanceof Misfit)) log.error({ err: error }, 'could not start')
      await this.#end(run, module)
      const reason = error instanceof Error ? error.message : String(error)
      if (isMissing) {
        this.#patience.wait()
        return this.#set('unavailable', reason)
      }
      return error instanceof Misfit ? this.#set('failed', reason) : this.#noteFailure(reason)
    }
    this.startMs = performance.now() - begun
    this.#tally.starts++
    this.#set('running', this.#wish.simulated ? simulation : undefined)
    run.goLive()
    this.#parts.hub.introduce(module)
  }

  async #stop(run: Running): Promise<void> {
    if (this.#state === 'running') this.#set('stopping')
    await this.#end(run, this.#module as Module)
  }

  /** When it resolves nothing of the run is left in a process of its own: the next one does not meet it at a device. */
  async #end(run: Running, module: Module): Promise<void> {
    const { road, log, pace } = this.#parts
    const refusal =
      this.#state === 'stopping' ? refuse('MODULE_UNAVAILABLE', `${module.id} is stopping.`) : refuse('MODULE_FAILED')
    const ended = run.end()
    road.calls.end((call) => call.command.module === module, refusal)
    await within(ended, pace.stopMs, `it did not stop within ${pace.stopMs / 1000} s`).catch((err: unknown) =>
      log.error({ err }, 'could not stop'),
    )
    await run.clear()
    this.#run = undefined
  }

  /** Backs off, or gives up. */
  #noteFailure(reason: string): void {
    this.#tally.failures++
    if (this.#patience.bear()) this.#set('failed', reason)
    else this.#set('quarantined', `It failed five times in five minutes. Last: ${reason}`)
    if (this.#module) this.#parts.hub.publishError(this.#module, { code: 'MODULE_FAILED', message: reason })
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
