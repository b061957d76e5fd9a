import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { CameraFailure } from './failure.ts'
import type { Camera } from './source.ts'
import { holderOf } from './v4l2.ts'

const NO_DEVICE = /No such (file or directory|device)|no cameras available|Inappropriate ioctl/i
const BUSY = /Device or resource busy|in use by another process|failed to acquire camera/i
const DENIED = /Permission denied|Operation not permitted/i
const REFUSED = /401 Unauthorized|403 Forbidden/i
const UNREACHABLE =
  /Connection (refused|timed out|reset)|No route to host|unreachable|Name or service|404 |timed? ?out|Immediate exit/i

/** Why programs gave no picture of a camera, by their last words. */
export async function failureOf(camera: Camera, stderr: string): Promise<CameraFailure> {
  const cause = withoutSecrets(stderr)
  const { name, device, kind } = camera
  if (kind === 'rtsp') return networkFailure(name, stderr, cause)
  if (device !== undefined && (NO_DEVICE.test(stderr) || !existsSync(device))) return unplugged(name)
  if (BUSY.test(stderr)) {
    const holder = device && (await holderOf(device).catch(() => undefined))
    const by = holder ? `by the program ${holder}` : 'by another program'
    return new CameraFailure('CAMERA_BUSY', `The camera ${name} is in use ${by}; it can be used here when that has ended.`, {
      cause,
    })
  }
  if (DENIED.test(stderr)) {
    const user = userName()
    const sentence = `The user ${user} may not use the camera ${name}. Cameras belong to the group video.`
    return new CameraFailure('CAMERA_PERMISSION', sentence, { cause, mend: `sudo usermod -aG video ${user}` })
  }
  return broken(name, cause)
}

export const unplugged = (name: string): CameraFailure =>
  new CameraFailure('CAMERA_UNPLUGGED', `The camera ${name} is not plugged in any more. The picture comes back with it.`)

export const silent = (name: string): CameraFailure => new CameraFailure('CAMERA_FAILED', `The camera ${name} gives no picture.`)

const broken = (name: string, cause: string) =>
  new CameraFailure('CAMERA_FAILED', `The program that reads the camera ${name} ended; it is started again.`, { cause })

function networkFailure(name: string, stderr: string, cause: string): CameraFailure {
  if (REFUSED.test(stderr))
    return new CameraFailure(
      'CAMERA_UNREACHABLE',
      `The network camera ${name} refused the user or the password of the settings.`,
      { cause },
    )
  if (UNREACHABLE.test(stderr))
    return new CameraFailure('CAMERA_UNREACHABLE', `The network camera ${name} does not answer.`, { cause })
  return new CameraFailure('CAMERA_UNREACHABLE', `The network camera ${name} gave no more pictures.`, { cause })
}

/** What `exec` rejects with. */
export function notStarted(error: unknown): CameraFailure {
  const { code, message } = error as { code?: string; message?: string }
  if (error instanceof CameraFailure) return error
  if (code !== 'ENOENT') return new CameraFailure('CAMERA_FAILED', 'The camera could not be read; try again.', { cause: message })
  const [, program = 'ffmpeg'] = /program (\S+)/.exec(message ?? '') ?? []
  const parcel = /^(rpicam|libcamera)-/.test(program) ? 'rpicam-apps' : 'ffmpeg'
  const sentence = `The program ${program} is not installed; it comes with the package ${parcel}.`
  return new CameraFailure('CAMERA_TOOL_MISSING', sentence, { mend: `sudo apt-get install ${parcel}` })
}

/** Of an address nothing is left, also where it is cut off. */
function withoutSecrets(stderr: string): string {
  return stderr.replaceAll(/\S*(rtsps?:\/\/|@)\S*/g, '(address)').slice(-1000)
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `number ${process.getuid?.() ?? 0}` // there is no entry for it
  }
}
