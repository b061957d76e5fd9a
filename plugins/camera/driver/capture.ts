import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { failureOf, notStarted, silent } from './diagnose.ts'
import type { Encoder } from './encoders.ts'
import type { CameraFailure } from './failure.ts'
import { createFlvReader } from './flv.ts'
import { open } from './open.ts'
import { type Camera, heights, type Input } from './source.ts'
import type { AccessUnit, Exec, Resolution, Target } from './types.ts'

/** A camera that gives no picture for this long hangs; to begin it may take longer. */
const SILENCE_MS = 5000
const BEGIN_MS = 6000
/** Of the bit rate that is allowed, what a smaller picture makes use of. */
const most: Readonly<Record<Resolution, number>> = { '480p': 1000, '720p': 2000, '1080p': 3000 }

export interface Plan {
  readonly camera: Camera
  readonly encoder: Encoder
  readonly target: Target
  /** The largest last. */
  readonly resolutions: readonly Resolution[]
}

/** One program that has a camera open, and makes all that is wanted of it. */
export interface Capture {
  readonly plan: Plan
  /** `none` where the camera's own H.264 is all that is passed on. */
  readonly encoder: string
  /** Resolves with true when it has given the first picture, with false when it has ended without one. */
  readonly begun: Promise<boolean>
  /** Resolves with why, once it has ended and the camera is free; undefined after `stop`. */
  readonly ended: Promise<CameraFailure | undefined>
  stop(): Promise<void>
}

/** Rejects with a CameraFailure. `directory` is the driver's own. */
export async function startCapture(
  exec: Exec,
  directory: string,
  plan: Plan,
  onUnit: (resolution: Resolution, unit: AccessUnit) => void,
): Promise<Capture> {
  const { camera, encoder, resolutions, target } = plan
  const stopping = new AbortController()
  let why: CameraFailure | undefined
  let isStopped = false
  const hangs = () => {
    why = silent(camera.name)
    stopping.abort()
  }
  let begin: (isBegun: boolean) => void = () => {}
  const begun = new Promise<boolean>((resolve) => {
    begin = resolve
  })
  let watchdog: NodeJS.Timeout | undefined
  const patience = (ms: number) => {
    clearTimeout(watchdog)
    if (!stopping.signal.aborted) watchdog = setTimeout(hangs, ms)
  }
  const servers: Server[] = []
  const clear = () => {
    clearTimeout(watchdog)
    for (const server of servers) server.close()
  }
  try {
    const input = await camera.input({ resolution: resolutions.at(-1) as Resolution, target, directory })
    for (const resolution of resolutions) {
      const onPicture = (unit: AccessUnit) => {
        patience(SILENCE_MS)
        if (stopping.signal.aborted) return
        onUnit(resolution, unit)
        begin(true)
      }
      servers.push(await listen(socketOf(directory, resolution), createFlvReader.bind(undefined, onPicture), stopping))
    }
    patience(BEGIN_MS)
    const output = resolutions.flatMap((resolution) => outputOf(input, plan, resolution, socketOf(directory, resolution)))
    const opened = await open(exec, { input, before: encoder.device ?? [], output }, stopping)
    const ended = opened.ended.then(async ({ stderr }) => {
      clear()
      begin(false)
      return isStopped ? undefined : (why ?? (await failureOf(camera, stderr)))
    })
    return {
      plan,
      encoder: input.ready !== undefined && resolutions.length === 1 ? 'none' : encoder.name,
      begun,
      ended,
      async stop() {
        isStopped = true
        stopping.abort()
        await ended
      },
    }
  } catch (error) {
    clear()
    throw notStarted(error)
  }
}

const socketOf = (directory: string, resolution: Resolution) => join(directory, resolution)

/** Where ffmpeg brings a stream. What is none ends it all. */
async function listen(path: string, createReader: () => (piece: Uint8Array) => void, end: AbortController): Promise<Server> {
  await rm(path, { force: true })
  const server = createServer((socket) => {
    const read = createReader()
    socket.on('error', () => undefined) // the program's end says why
    socket.on('data', (piece) => {
      try {
        read(piece)
      } catch {
        end.abort()
      }
    })
  }).listen(path)
  await once(server, 'listening')
  return server
}

function outputOf(input: Input, { encoder, target }: Plan, resolution: Resolution, socket: string): string[] {
  const made = input.ready === resolution ? ['-c:v', 'copy'] : encoded(input, encoder, resolution, target)
  const flv = ['-flvflags', 'no_duration_filesize', '-flush_packets', '1', '-f', 'flv']
  return ['-map', '0:v:0', ...made, ...flv, `unix:${socket}`]
}

function encoded(input: Input, encoder: Encoder, resolution: Resolution, { frameRate, bitrateKbps }: Target): string[] {
  const rate = `${Math.min(bitrateKbps, most[resolution])}k`
  const filters = [
    // A camera may give more than it was asked for.
    `select='isnan(prev_selected_t)+gte(t-prev_selected_t,0.7/${frameRate})'`,
    ...(input.filter ? [input.filter] : []),
    `scale=-2:'min(${heights[resolution]},ih)':flags=fast_bilinear`,
    encoder.filter,
  ]
  return [
    ...['-vf', filters.join(','), ...encoder.pace(frameRate), '-fps_mode', 'vfr', '-enc_time_base', '1:1000'],
    ...['-c:v', encoder.name, ...encoder.args],
    // Whoever comes late waits for a key frame no longer than a second.
    ...[
      '-g',
      String(Math.round(frameRate * 1.5)),
      '-force_key_frames',
      'expr:if(isnan(prev_forced_t),1,gte(t-prev_forced_t,0.99))',
    ],
    ...['-b:v', rate, '-maxrate', rate, '-bufsize', rate],
  ]
}
