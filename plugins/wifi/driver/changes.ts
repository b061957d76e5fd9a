import { setTimeout as delay } from 'node:timers/promises'
import { within } from './deadline.ts'
import { WifiError } from './failure.ts'

const rollBackMs = 500

/** How to end what was begun: for good, or as if it had never been. */
export interface Undo {
  /** The change stays. */
  keep(): Promise<void>
  rollBack(): Promise<void>
  /** It rolls back by itself unless it is kept within so many seconds from now. */
  extend(seconds: number): Promise<void>
}

export interface ChangeOptions {
  readonly undo: () => Promise<Undo>
  readonly work: (signal: AbortSignal) => Promise<void>
  /** Resolves when whoever asked for the change has been heard of since; rejects when the signal is aborted. Without it the change stays at once. */
  readonly heard?: (signal: AbortSignal) => Promise<void>
  /** When the change stays. */
  readonly onKept?: () => Promise<void>
}

export interface Patience {
  /** In which the change must be done or undone; after that it is undone by NetworkManager itself. */
  readonly workSeconds: number
  readonly confirmSeconds: number
}

/**
 * Changes of the network, one at a time: a newer one ends the one before and takes over its undo, so that whatever fails in the end
 * leads back to what was before the first. A change that waits to be confirmed is confirmed by the next: somebody could ask for it.
 */
export class Changes {
  readonly #patience: Patience
  readonly #onRolledBack: () => void
  #isStopped = false
  #current: { end(): void; handedOver: Promise<Undo | undefined> } | undefined

  constructor(patience: Patience, onRolledBack: () => void) {
    this.#patience = patience
    this.#onRolledBack = onRolledBack
  }

  /** Resolves when it is done. Rejects with what the work says, after it was undone; with WIFI_SUPERSEDED if there is a newer one. */
  async run(options: ChangeOptions): Promise<void> {
    const before = this.#current
    const superseded = new AbortController()
    let handOver: (undo?: Undo) => void = () => {}
    const handedOver = new Promise<Undo | undefined>((resolve) => {
      handOver = resolve
    })
    const own = { end: () => superseded.abort(new WifiError('WIFI_SUPERSEDED')), handedOver }
    this.#current = own
    before?.end()
    let undo = await before?.handedOver
    try {
      superseded.signal.throwIfAborted()
      // NetworkManager that has restarted has forgotten it
      const isStanding = await undo?.extend(this.#patience.workSeconds).then(
        () => true,
        () => false,
      )
      if (!undo || !isStanding) undo = await options.undo()
      await options.work(superseded.signal)
      superseded.signal.throwIfAborted()
    } catch (error) {
      if (superseded.signal.aborted) {
        handOver(undo)
        throw superseded.signal.reason
      }
      // NetworkManager that has restarted knows nothing of it, and is as it was before
      // what another program wanted instead stays
      const isOthers = error instanceof WifiError && ['WIFI_SUPERSEDED', 'WIFI_DISCONNECTED'].includes(error.code)
      const undone = (isOthers ? undo?.keep() : undo?.rollBack())?.catch(() => undefined)
      void Promise.resolve(undone).then(() => handOver())
      // it is begun; whoever waits for the answer need not wait for its end
      await Promise.race([undone, delay(rollBackMs)])
      throw error
    }
    if (options.heard) void this.#confirm(undo, options, superseded.signal).then(() => handOver())
    else {
      await keep(undo, options)
      handOver()
    }
  }

  /** Nothing is waited for any more: what is not confirmed is undone by NetworkManager. */
  stop(): void {
    this.#isStopped = true
    this.#current?.end()
  }

  async #confirm(undo: Undo, options: ChangeOptions, superseded: AbortSignal): Promise<void> {
    const { confirmSeconds } = this.#patience
    // in case this process ends meanwhile
    await undo.extend(confirmSeconds + 10).catch(() => undefined)
    const isHeard = await within(confirmSeconds * 1000, superseded, async (end) => options.heard?.(end)).then(
      () => true,
      () => superseded.aborted,
    )
    if (this.#isStopped) return
    if (isHeard) {
      await keep(undo, options)
      return
    }
    await undo.rollBack().catch(() => undefined)
    this.#onRolledBack()
  }
}

async function keep(undo: Undo, { onKept }: ChangeOptions): Promise<void> {
  // where it is gone already there is nothing to undo
  await undo.keep().catch(() => undefined)
  await onKept?.()
}
