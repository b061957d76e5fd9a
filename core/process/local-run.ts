import type { Finding } from '../plugin/capabilities.ts'
import type { Plugin } from '../plugin/context.ts'
import { runAs, tieModule } from './attribution.ts'
import { judge } from './judge.ts'
import { Run, type RunParts } from './run.ts'
import type { Running } from './running.ts'

export interface LocalRunParts extends Omit<RunParts, 'settings'> {
  /** As in plugins.json. */
  readonly given: object
  readonly builtin: boolean
  /** Whose an exception is that nobody caught. */
  readonly owner: string
  readonly load: () => Promise<Plugin>
}

/** A run of a plugin in this process. */
export class LocalRun implements Running {
  readonly #parts: LocalRunParts
  #run: Run | undefined

  constructor(parts: LocalRunParts) {
    this.#parts = parts
  }

  async start(deadlineMs: number): Promise<void> {
    const { given, load, owner, ...parts } = this.#parts
    const settings = await judge(parts.module, given, parts)
    const run = new Run({ ...parts, settings })
    this.#run = run
    await runAs(owner, () => run.start(load, deadlineMs))
  }

  goLive(): void {
    const { owner, module } = this.#parts
    runAs(owner, () => this.#run?.goLive())
    tieModule(owner, module)
  }

  async diagnose(deadlineMs: number): Promise<readonly Finding[]> {
    return (await runAs(this.#parts.owner, async () => this.#run?.diagnose(deadlineMs))) ?? []
  }

  fail(reason: string): void {
    this.#run?.fail(reason)
  }

  async end(): Promise<void> {
    await runAs(this.#parts.owner, async () => this.#run?.end())
  }

  async clear(): Promise<void> {
    this.#parts.module.clear()
  }

  figures(): undefined {
    return undefined
  }
}
