import { type FSWatcher, watch } from 'node:fs'
import { CameraFailure } from './failure.ts'
import { networkCamera } from './network.ts'
import { findRaspberryCameras } from './rpicam.ts'
import { simulatedCamera } from './simulated.ts'
import type { Camera } from './source.ts'
import type { Exec, LensSettings, Release } from './types.ts'
import { describeDevice, findDevices, hasConnectedSensor } from './v4l2.ts'

/** After something came or went: when udev has looked at it, and once more for a slow one. */
const LOOK_MS = [200, 1000, 3000]

const AGAIN = 3

/** All cameras that there are, kept current. */
export interface Cameras {
  list(): readonly Camera[]
  /** Why there is none, or not the one of this id. */
  absence(id: string): CameraFailure
  /** Resolves when it has looked for the first time. */
  readonly ready: Promise<void>
  onChange(listener: () => void): Release
  close(): void
}

/** Throws with a sentence if the settings hold an address that is none. `inUse`: the device that is open, which is not opened once more. */
export function createCameras(exec: Exec, settings: LensSettings, inUse: () => string | undefined): Cameras {
  const others = [
    ...settings.network.map((camera) => networkCamera(exec, camera)),
    ...(settings.simulated ? [simulatedCamera()] : []),
  ]
  const listeners = new Set<() => void>()
  const described = new Map<string, Camera>()
  let local: Camera[] = []
  let raspberry: Camera[] = []
  let hasSensor = false
  /** How often one that has not answered is asked once more. */
  let again = AGAIN
  let looking: Promise<void> = Promise.resolve()

  const look = async () => {
    const found = await findDevices()
    const next: Camera[] = []
    for (const device of found) {
      const key = `${device.path} ${device.id}`
      const open = inUse() === device.path ? local.find((camera) => camera.device === device.path) : undefined
      const known = described.get(key) ?? open
      if (known) {
        next.push(known)
        continue
      }
      const { camera, isKnown } = await describeDevice(exec, device)
      // It may have been asked before udev had opened it to this user.
      if (isKnown) described.set(key, camera)
      else if (again-- > 0) lookSoon()
      next.push(camera)
    }
    // One that is plugged in again may be another by then.
    for (const key of described.keys()) if (!found.some(({ path, id }) => key === `${path} ${id}`)) described.delete(key)
    const isSame = next.length === local.length && next.every((camera, index) => camera === local[index])
    local = next
    if (!isSame) for (const listener of listeners) listener()
  }
  let timers: NodeJS.Timeout[] = []
  let isClosed = false
  const lookSoon = () => {
    if (isClosed) return
    for (const timer of timers) clearTimeout(timer)
    timers = LOOK_MS.map((ms) =>
      setTimeout(() => {
        looking = looking.then(look)
      }, ms),
    )
  }
  let watcher: FSWatcher | undefined
  try {
    watcher = watch('/dev', { persistent: false }, (_type, entry) => {
      if (entry !== null && !/^(video\d+|v4l)$/.test(entry)) return
      again = AGAIN
      lookSoon()
    })
    watcher.on('error', () => undefined) // then they are found at the next start
  } catch {
    // there is none
  }
  looking = Promise.all([look(), findRaspberryCameras(exec), hasConnectedSensor()]).then(([, found, connected]) => {
    raspberry = found
    hasSensor = connected
    if (found.length > 0) for (const listener of listeners) listener()
  })
  return {
    list: () => [...local, ...raspberry, ...others],
    absence(id) {
      if (id !== '') return new CameraFailure('CAMERA_NOT_FOUND', 'The camera that the settings name is not there.')
      if (hasSensor)
        return new CameraFailure('CAMERA_TOOL_MISSING', 'The camera of this Raspberry Pi needs the package rpicam-apps.', {
          mend: 'sudo apt-get install rpicam-apps',
        })
      return new CameraFailure('CAMERA_NOT_FOUND', 'There is no camera: plug one in, or name one of the network in the settings.')
    },
    ready: looking,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close() {
      isClosed = true
      watcher?.close()
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
