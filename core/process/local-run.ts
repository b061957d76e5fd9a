import type { Finding } from '../plugin/capabilities.ts'
import type { Plugin } from '../plugin/context.ts'
import { judge } from './judge.ts'
import { Run, type RunParts } from './run.ts'
import type { Running } from './running.ts'

export interface LocalRunParts extends Omit<RunParts, 'settings'> {
  /** As in plugins.json. */
  readonly given: object
  readonly builtin: boolean
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
    const { given, load, ...parts } = this.#parts
    const settings = await judge(parts.module, given, parts)
    this.#run = new Run({ ...parts, settings })
    await this.#run.start(load, deadlineMs)
  }

  goLive(): void {
    this.#run?.goLive()
  }

  async diagnose(deadlineMs: number): Promise<readonly Finding[]> {
    return (await this.#run?.diagnose(deadlineMs)) ?? []
  }

  fail(reason: string): void {
    this.#run?.fail(reason)
  }

  async end(): Promise<void> {
    await this.#run?.end()
  }

  async clear(): Promise<void> {
    this.#parts.module.clear()
  }

  figures(): undefined {
    return undefined
  }
}
