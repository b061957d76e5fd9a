import { failureOf, silent } from './diagnose.ts'
import { CameraFailure } from './failure.ts'
import { open } from './open.ts'
import { type Camera, heights } from './source.ts'
import type { AccessUnit, Exec, Resolution, Snapshot } from './types.ts'

const MAX_JPEG = 8 * 1024 * 1024
const PATIENCE_MS = 8000
const END = Buffer.from([0xff, 0xd9])
/** Until a camera has adjusted itself to the light; pictures. */
const SETTLE: Readonly<Record<Camera['kind'], number>> = { v4l2: 8, rpicam: 15, rtsp: 0, simulated: 0 }

/** ffmpeg's scale for JPEG goes from 2, the best, to 31. */
const jpeg = (quality: number) => [
  '-frames:v',
  '1',
  '-c:v',
  'mjpeg',
  '-q:v',
  String(Math.round(31 - quality * 0.29)),
  '-f',
  'image2pipe',
]

/** Of a picture that was shown already. */
export async function decode(exec: Exec, unit: AccessUnit, quality: number, signal: AbortSignal): Promise<Snapshot> {
  const { end, image, onStdout } = collect(signal)
  const args = ['-hide_banner', '-loglevel', 'error', '-f', 'h264', '-i', 'pipe:0', ...jpeg(quality), 'pipe:1']
  const program = await exec.start('ffmpeg', args, { signal: end.signal, onStdout })
  await program.write(unit.data).catch(() => undefined)
  program.end()
  const { stderr } = await program.ended
  signal.throwIfAborted()
  const made = image()
  if (!made) throw new CameraFailure('CAMERA_FAILED', 'No picture could be made of the stream; try again.', { cause: stderr })
  return { jpeg: made, at: unit.at }
}

/** Opens the camera for one picture. Rejects with a CameraFailure. `directory` is the driver's own. */
export async function takeOne(
  exec: Exec,
  directory: string,
  camera: Camera,
  { resolution, quality, signal }: { resolution: Resolution; quality: number; signal: AbortSignal },
): Promise<Snapshot> {
  const input = await camera.input({ resolution, target: { frameRate: 30, bitrateKbps: 3000 }, directory })
  const { end, image, onStdout } = collect(signal)
  const filters = [
    `select='gte(n,${SETTLE[camera.kind]})'`,
    ...(input.filter ? [input.filter] : []),
    `scale=-2:'min(${heights[resolution]},ih)'`,
    'showinfo',
  ]
  const output = ['-map', '0:v:0', '-vf', filters.join(','), '-fps_mode', 'vfr', ...jpeg(quality), 'pipe:1']
  const { ended } = await open(exec, { input, level: 'info', output, onStdout }, end)
  const { stderr } = await ended
  signal.throwIfAborted()
  const made = image()
  if (!made) throw end.isLate() ? silent(camera.name) : await failureOf(camera, stderr)
  return { jpeg: made, at: exposure(stderr) }
}

/** What the program says of the picture: its time, in units of that of the stream. */
function exposure(stderr: string): number {
  const [, unit] = /config in time_base: 1\/(\d+)/.exec(stderr) ?? []
  const [, time] = /\bpts: *(\d+)/.exec(stderr) ?? []
  const at = (Number(time) / Number(unit)) * 1000
  return Math.abs(Date.now() - at) < PATIENCE_MS * 2 ? Math.round(at) : Date.now()
}

/** What a program writes, within bounds of size and time. */
function collect(signal: AbortSignal) {
  const late = AbortSignal.timeout(PATIENCE_MS)
  const end = Object.assign(new AbortController(), { isLate: () => late.aborted })
  for (const source of [signal, late]) source.addEventListener('abort', () => end.abort(), { once: true })
  if (signal.aborted) end.abort()
  const pieces: Uint8Array[] = []
  let bytes = 0
  return {
    end,
    onStdout(piece: Uint8Array) {
      bytes += piece.length
      if (bytes > MAX_JPEG) end.abort()
      else pieces.push(piece)
    },
    /** Undefined unless it is there to its end. */
    image() {
      const whole = Buffer.concat(pieces)
      return whole.subarray(-2).equals(END) ? whole : undefined
    },
  }
}
