import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAudience } from './audience.ts'
import { createCameras } from './cameras.ts'
import { type Capture, type Plan, startCapture } from './capture.ts'
import { notStarted, unplugged } from './diagnose.ts'
import { type Encoder, findEncoder } from './encoders.ts'
import { CameraFailure } from './failure.ts'
import { createKeeper } from './keeper.ts'
import { decode, takeOne } from './snapshot.ts'
import { type Camera, heights } from './source.ts'
import { createTurns } from './turns.ts'
import type {
  AccessUnit,
  CameraInfo,
  Exec,
  Lens,
  LensSettings,
  LensStatus,
  Problem,
  Release,
  Resolution,
  Target,
} from './types.ts'

/** Who comes back soon finds it running. */
const LINGER_MS = 5000
const STATUS_MS = 2000

/**
 * Looks for cameras and for an encoder at once, opens a camera when somebody watches. Throws with a sentence if an address of the settings
 * is none.
 */
export function createLens(exec: Exec, settings: LensSettings): Lens {
  const cameras = createCameras(exec, settings, () => capture?.plan.camera.device)
  const nextTurn = createTurns()
  /** One program at a time has a camera open, with a directory of its own: one that waits for long would be cleared away. */
  const turn = async (camera: Camera) => {
    const release = camera.isShared ? () => {} : await nextTurn()
    const directory = await mkdtemp(join(tmpdir(), 'patchbay-camera-')).catch((error: unknown) => {
      release()
      throw notStarted(error)
    })
    const end = () => rm(directory, { recursive: true, force: true }).finally(release)
    return { directory, end }
  }
  const cameraListeners = new Set<(cameras: readonly CameraInfo[]) => void>()
  const statusListeners = new Set<(status: LensStatus) => void>()
  let target: Target = { frameRate: 30, bitrateKbps: 2000 }
  let encoder: Promise<Encoder> | undefined
  let encoderName: string | null = null
  let capture: Capture | undefined
  let problem: CameraFailure | null = null
  let starts = 0
  /** How many programs there were, and which of them is the one whose pictures are shown. */
  let captures = 0
  let shown = 0
  let isClosed = false
  /** While somebody watches it stays the same. */
  let held: Camera | undefined
  let linger: NodeJS.Timeout | undefined

  const bestEncoder = () => {
    encoder ??= findEncoder(exec, settings.encoder).then(
      (found) => {
        encoderName = found.name
        return found
      },
      (error: unknown) => {
        encoder = undefined
        throw notStarted(error)
      },
    )
    return encoder
  }
  const absence = () => (held ? unplugged(held.name) : cameras.absence(settings.camera))
  const chosen = () => cameras.list().find(({ id }) => [id, ''].includes(held?.id ?? settings.camera))
  const choose = () => {
    const camera = chosen()
    if (!camera) throw absence()
    return camera
  }
  const isWatched = () => audience.wishes().length > 0

  const audience = createAudience((what) => {
    if (what === 'shown') problem = null
    if (what === 'joined' || (what === 'left' && !isWatched())) {
      clearTimeout(linger)
      linger = undefined
    }
    // What does not run does not linger.
    if (what === 'left' && !isWatched() && capture)
      linger = setTimeout(() => {
        linger = undefined
        keeper.nudge()
      }, LINGER_MS)
    if (what !== 'shown') keeper.nudge()
    tell()
  })
  const keeper = createKeeper({
    async wanted(now): Promise<Plan | undefined> {
      if (!isWatched() && !linger) return undefined
      await cameras.ready
      const camera = choose()
      held = camera
      const wishes = new Set(audience.wishes().map((wish) => fitting(camera, wish)))
      const resolutions = wishes.size > 0 ? [...wishes].toSorted((a, b) => heights[a] - heights[b]) : now?.resolutions
      return resolutions && { camera, encoder: await bestEncoder(), target, resolutions }
    },
    async start(plan) {
      const { directory, end } = await turn(plan.camera)
      const number = ++captures
      const onUnit = (resolution: Resolution, unit: AccessUnit) => {
        // The one before goes on until this one has a picture.
        if (number < shown) return
        if (number > shown) audience.begin(plan.resolutions)
        shown = number
        audience.unit(resolution, unit)
      }
      try {
        const started = await startCapture(exec, directory, plan, onUnit)
        const ended = started.ended.then(async (failure) => {
          await end()
          return failure
        })
        return { ...started, ended }
      } catch (error) {
        await end()
        throw error
      }
    },
    onStart(started) {
      capture = started
      starts += 1
      tell()
    },
    onStop() {
      capture = undefined
      audience.begin([])
      if (!isWatched()) rest()
      tell()
    },
    onFailure(failure) {
      capture = undefined
      problem = failure
      audience.interrupt(failure)
      if (!isWatched()) rest()
      tell()
    },
  })
  const rest = () => {
    clearTimeout(linger)
    linger = held = undefined
    starts = 0
  }

  const list = () => cameras.list().map(infoOf)
  const status = (): LensStatus => {
    const camera = chosen()
    const why = problem ?? (camera ? null : absence())
    return {
      camera: camera ? infoOf(camera) : null,
      encoder: capture?.encoder ?? encoderName,
      capturing: capture !== undefined,
      outputs: capture ? audience.figures() : [],
      starts,
      problem: why && problemOf(why),
    }
  }
  const tell = () => {
    for (const listener of statusListeners) listener(status())
  }
  const ticking = setInterval(() => {
    if (capture) tell()
  }, STATUS_MS).unref()
  const unlisten = cameras.onChange(() => {
    // What is wrong with those that are there now shows when they are opened.
    problem = null
    for (const listener of cameraListeners) listener(list())
    keeper.nudge()
    tell()
  })
  // Why there is none is said when one is needed.
  void Promise.allSettled([bestEncoder(), cameras.ready]).then(tell)

  return {
    cameras: list,
    onCameras: (listener) => added(cameraListeners, listener),
    status,
    onStatus: (listener) => added(statusListeners, listener),
    async watch(resolution, watcher) {
      if (isClosed) throw closed()
      return audience.join(resolution, watcher)
    },
    retarget(next) {
      target = next
      keeper.nudge()
    },
    async snapshot({ resolution = '1080p', quality, signal }) {
      await cameras.ready
      if (isWatched() || capture) return decode(exec, await unlessAborted(audience.keyFrame(resolution), signal), quality, signal)
      const camera = choose()
      const { directory, end } = await turn(camera)
      try {
        signal.throwIfAborted()
        return await takeOne(exec, directory, camera, { resolution: fitting(camera, resolution), quality, signal })
      } catch (error) {
        signal.throwIfAborted()
        throw notStarted(error)
      } finally {
        await end()
      }
    },
    async close() {
      isClosed = true
      clearInterval(ticking)
      unlisten()
      cameras.close()
      await keeper.close()
      clearTimeout(linger)
      audience.interrupt(closed())
      // Also of a snapshot, and of the directory.
      const release = await nextTurn()
      release()
    },
  }
}

/** What a camera has of what is wanted. */
function fitting({ resolutions }: Camera, wanted: Resolution): Resolution {
  return resolutions.includes(wanted) ? wanted : (resolutions.at(-1) as Resolution)
}

const closed = () => new CameraFailure('CAMERA_FAILED', 'The camera is being switched off.')
const infoOf = ({ id, name, kind, resolutions }: Camera): CameraInfo => ({ id, name, kind, resolutions })
const problemOf = ({ code, sentence, mend }: CameraFailure): Problem => ({ code, sentence, mend })

function added<T>(listeners: Set<T>, listener: T): Release {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort)
  })
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}
