import type { Finding } from '../plugin/capabilities.ts'
import type { HandlerCode } from '../plugin/contract.ts'
import type { PluginHealth } from '../plugin/host-control.ts'
import { read } from './bounded-copy.ts'

/** What a process of its own costs. */
export type ProcessFigures = NonNullable<PluginHealth['process']>

/** Of these what the kernel counts, for a process or a service. */
export type MachineFigures = Omit<ProcessFigures, 'loopDelayMs' | 'waiting'>

/** One run of a plugin, wherever its code runs. */
export interface Running {
  /** Rejects with a Misfit if trying again is of no use, else with what went wrong. */
  start(deadlineMs: number): Promise<void>
  /** The plugin runs: subscribers, also those who came before, set its work going. */
  goLive(): void
  /** What its drivers find, if they say it in time. */
  diagnose(deadlineMs: number): Promise<readonly Finding[]>
  /** It broke: while it starts, that ends the start. Only where its code runs in this process. */
  fail?(reason: string): void
  /** Resolves when everything the plugin owned is released. */
  end(): Promise<void>
  /** Takes handlers and values off the module. Resolves when nothing of it runs any more, whether it has ended or not. */
  clear(): Promise<void>
  /** Undefined for what runs in the host's process. */
  figures(): ProcessFigures | undefined
}

/** The plugin does not fit what is configured, or is none. Only a change of either mends that. */
export class Misfit extends Error {}

/** What the plugin needs is not there, and may come. */
export const isAway = (error: unknown): boolean => read(error, 'code') === ('MODULE_UNAVAILABLE' satisfies HandlerCode)
