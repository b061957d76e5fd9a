import { setTimeout as delay } from 'node:timers/promises'
import { readDevices } from './devices.ts'
import { AudioFailure } from './failure.ts'
import { type Exec, failureOf } from './pactl.ts'
import { type AudioState, createStates } from './state.ts'

/** One change brings several events. */
const SETTLE_MS = 30
/** A server that is restarted is back within a second; one that is not there at all is looked for ever more rarely. */
const RETRY_MS = { first: 100, most: 5000 }
/** A server that tells nothing of those who ask it is trusted to listen after this. */
const HEARD_MS = 1000
const MAX_EVENT = 4096

export interface Listener {
  onState(state: AudioState): void
  /** Nothing is known from now on, until the next state. Told once, not at every attempt. */
  onFailure(failure: AudioFailure): void
}

/** Tells the state of sound, at once and at every change, also of a server that comes later or comes back. Resolves after `signal` is aborted. */
export async function follow(exec: Exec, signal: AbortSignal, listener: Listener): Promise<void> {
  const toState = createStates()
  let told: string | undefined
  const show = async () => {
    const state = await toState(await readDevices(exec))
    const news = JSON.stringify(state)
    if (!signal.aborted && news !== told) listener.onState(state)
    told = news
  }
  const fail = (error: unknown) => {
    const failure =
      error instanceof AudioFailure
        ? error
        : new AudioFailure('AUDIO_FAILED', 'The sound server did not answer.', { cause: error })
    if (!signal.aborted && told !== failure.message) listener.onFailure(failure)
    told = failure.message
  }
  let wait = RETRY_MS.first
  while (!signal.aborted) {
    try {
      await connection(exec, signal, async () => {
        await show()
        wait = RETRY_MS.first
      })
    } catch (error) {
      fail(error)
    }
    await delay(wait, undefined, { signal }).catch(() => undefined)
    wait = Math.min(wait * 2, RETRY_MS.most)
  }
}

/** One connection to the server: reads at once and after every change. Rejects with why it ended. */
async function connection(exec: Exec, signal: AbortSignal, read: () => Promise<void>): Promise<never> {
  let [isHeard, isStale, isOver, wake] = [false, true, false, () => {}]
  const onEvent = (event: string) => {
    if (isHeard && !/"on": ?"(sink|source|server|card)"/.test(event)) return
    ;[isHeard, isStale] = [true, true]
    wake()
  }
  const program = await exec.start('pactl', ['--format=json', 'subscribe'], { onStdout: splitEvents(onEvent), signal })
  const ended = program.ended.then((end) => {
    isOver = true
    wake()
    return end
  })
  try {
    // It does not say when it has begun to listen. But to read is an event too: the first that is heard comes after that moment.
    const deaf = performance.now() + HEARD_MS
    while (!isOver) {
      if (isStale || (!isHeard && performance.now() < deaf)) {
        await delay(SETTLE_MS)
        isStale = false
        await read()
      } else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    throw failureOf((await ended).stderr)
  } finally {
    await program.stop()
  }
}

/** Its events are JSON objects without anything in them or between them. */
function splitEvents(onEvent: (event: string) => void): (piece: Uint8Array) => void {
  let rest = ''
  return (piece) => {
    rest += Buffer.from(piece).toString('latin1')
    const events = rest.match(/\{[^{}]*\}/g) ?? []
    rest = rest.slice(rest.lastIndexOf('}') + 1).slice(-MAX_EVENT)
    for (const event of events) onEvent(event)
  }
}
