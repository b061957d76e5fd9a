import { isDeepStrictEqual } from 'node:util'
import type { Capture, Plan } from './capture.ts'
import { CameraFailure } from './failure.ts'

/** A program is started anew for what is wanted otherwise at most this often. */
const CHANGE_MS = 10_000
const RETRY_MS = { first: 1000, most: 10_000 }
/** One that went on for this long is started again at once when it ends. */
const SETTLED_MS = 5000

export interface Keeper {
  /** What is wanted may have changed. */
  nudge(): void
  /** Resolves when nothing runs any more, for good. */
  close(): Promise<void>
}

interface Work {
  /** What is wanted now; undefined: nothing. Rejects with a CameraFailure. */
  wanted(now: Plan | undefined): Promise<Plan | undefined>
  start(plan: Plan): Promise<Capture>
  onStart(capture: Capture): void
  /** Nothing runs, because nothing is wanted or because it is replaced. */
  onStop(): void
  /** Nothing runs, and why; it is tried again while something is wanted. */
  onFailure(failure: CameraFailure): void
}

/** Keeps one capture running as it is wanted. */
export function createKeeper(work: Work): Keeper {
  let isClosed = false
  let keeping: Promise<void> | undefined
  let isStale = false
  let resume = () => {}
  const wake = () => {
    isStale = true
    resume()
  }
  /** Resolves when something may have changed since it was last asked what is wanted, or after a time. */
  const changed = (ms = 2 ** 31 - 1) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, isStale ? 0 : ms)
      resume = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const wanted = async (now?: Plan) => {
    isStale = false
    return isClosed ? undefined : work.wanted(now)
  }

  const follow = (capture: Capture) => {
    const followed = { capture, begun: performance.now(), ended: false, failure: undefined as CameraFailure | undefined }
    void capture.ended.then((failure) => {
      Object.assign(followed, { ended: true, failure })
      wake()
    })
    return followed
  }
  /** One that takes the place of another; undefined if it has no picture to show. */
  const successor = async (plan: Plan): Promise<Capture | undefined> => {
    const capture = await work.start(plan).catch(() => undefined)
    return (await capture?.begun) ? capture : undefined
  }
  /** Resolves when it has ended; with why, if it did so by itself. */
  const hold = async (first: Capture): Promise<CameraFailure | undefined> => {
    let now = follow(first)
    for (;;) {
      const { capture } = now
      const next = await wanted(capture.plan).catch((failure: CameraFailure) => failure)
      if (now.ended) return now.failure
      const age = performance.now() - now.begun
      const isFitting = isDeepStrictEqual(signature(next), signature(capture.plan))
      const isOther = !(next instanceof CameraFailure) && next?.camera !== capture.plan.camera
      if (isOther || (!isFitting && age >= CHANGE_MS)) {
        if (isOther || next instanceof CameraFailure || !next?.camera.isShared) {
          await capture.stop()
          return undefined
        }
        // Several may have it open: who watches does not wait for another connection.
        const fresh = await successor(next)
        now.begun = performance.now()
        if (!fresh) continue
        await capture.stop()
        work.onStart(fresh)
        now = follow(fresh)
      } else await changed(isFitting ? undefined : CHANGE_MS - age)
    }
  }
  const keep = async () => {
    let wait = RETRY_MS.first
    for (;;) {
      const begun = performance.now()
      try {
        const plan = await wanted()
        if (!plan) return
        const capture = await work.start(plan)
        work.onStart(capture)
        const failure = await hold(capture)
        work.onStop()
        if (failure) throw failure
      } catch (failure) {
        work.onFailure(failure as CameraFailure)
        const isOver = !(await wanted().catch(() => true))
        if (isOver) return
        const isSettled = performance.now() - begun > SETTLED_MS
        if (isSettled) wait = RETRY_MS.first
        else {
          await changed(wait)
          wait = Math.min(wait * 2, RETRY_MS.most)
        }
      }
    }
  }
  const nudge = () => {
    wake()
    keeping ??= keep().finally(() => {
      keeping = undefined
      if (isStale && !isClosed) nudge()
    })
  }
  return {
    nudge,
    async close() {
      isClosed = true
      wake()
      await keeping
    },
  }
}

/** What makes another program of it. */
function signature(plan: unknown): unknown {
  if (plan === undefined || plan instanceof CameraFailure) return undefined
  const { resolutions, target, encoder } = plan as Plan
  return { resolutions, target, encoder: encoder.name }
}
