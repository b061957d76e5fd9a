import { readdir } from 'node:fs/promises'
import { CameraFailure } from './failure.ts'
import type { Exec } from './types.ts'

/** An encoder of ffmpeg for H.264. */
interface Known {
  readonly name: string
  /** Before the input. */
  readonly device?: readonly string[]
  /** What a picture must become before it. */
  readonly filter: string
  readonly args: readonly string[]
  /** How it is told how many pictures a second come, where ffmpeg has no option for that. By default it takes what the camera says. */
  readonly pace?: Pace
}

type Pace = (frameRate: number) => readonly string[]

/** One that works here. */
export interface Encoder extends Known {
  readonly pace: Pace
}

/** Before version 6 ffmpeg knows it no other way; newer ones refuse it, because the time from picture to picture may differ. */
const byOption: Pace = (frameRate) => ['-r', String(frameRate)]

/** Where a machine has what hardware encoders need. */
const RENDER = '/dev/dri/renderD128'

/** The best first. A baseline stream, because every browser can show that, and no picture waits for a later one. */
const encoders: readonly Known[] = [
  { name: 'h264_v4l2m2m', filter: 'format=yuv420p', args: [] },
  {
    name: 'h264_vaapi',
    device: ['-vaapi_device', RENDER],
    filter: 'format=nv12,hwupload',
    args: ['-profile:v', 'constrained_baseline', '-bf', '0'],
  },
  { name: 'h264_nvenc', filter: 'format=yuv420p', args: ['-profile:v', 'baseline', '-preset', 'p1', '-tune', 'ull'] },
  {
    name: 'libx264',
    filter: 'format=yuv420p',
    args: ['-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-sc_threshold', '0'],
    pace: (frameRate) => ['-x264-params', `fps=${frameRate}`],
  },
  { name: 'libopenh264', filter: 'format=yuv420p', args: ['-profile:v', 'constrained_baseline'] },
]

/** The best one that works here, tried; or the one of this name. Rejects with a CameraFailure. */
export async function findEncoder(exec: Exec, name: string): Promise<Encoder> {
  const isHere = await devicesOf()
  const candidates = encoders.filter((encoder) => (name === 'auto' ? isHere(encoder.name) : encoder.name === name))
  for (const encoder of candidates) {
    for (const pace of [byOption, encoder.pace ?? (() => [])]) {
      const outcome = await tried(exec, encoder, pace)
      if (outcome === 'works') return { ...encoder, pace }
      if (outcome === 'hangs') break
    }
  }
  const what = name === 'auto' ? 'ffmpeg has no encoder for H.264 that works here' : `The encoder ${name} does not work here`
  throw new CameraFailure('CAMERA_NO_ENCODER', `${what}.`, { mend: 'sudo apt-get install ffmpeg' })
}

/** A few pictures; where the hardware has gone wrong that shows at once. A slow machine may take long to begin. */
async function tried(exec: Exec, { device = [], filter, args, name }: Known, pace: Pace): Promise<'works' | 'fails' | 'hangs'> {
  const pattern = ['-f', 'lavfi', '-i', 'testsrc2=size=640x480:rate=30', '-frames:v', '5']
  const coding = ['-vf', filter, ...pace(30), '-fps_mode', 'vfr', '-c:v', name, ...args, '-b:v', '1500k', '-f', 'null', '-']
  try {
    const words = ['-v', 'error', '-nostdin', ...device, ...pattern, ...coding]
    return (await exec.run('ffmpeg', words, { timeoutMs: 20_000 })).exitCode === 0 ? 'works' : 'fails'
  } catch (error) {
    // One that hangs does not keep the next from being tried.
    if ((error as { code?: string }).code === 'ETIMEDOUT') return 'hangs'
    throw error
  }
}

async function devicesOf(): Promise<(name: string) => boolean> {
  const list = (directory: string): Promise<string[]> => readdir(directory).catch(() => [])
  const [devices, renderers] = await Promise.all([list('/dev'), list('/dev/dri')])
  return (name) => {
    if (name === 'h264_v4l2m2m') return devices.includes('video11') // the encoder of a Raspberry Pi 4
    if (name === 'h264_vaapi') return renderers.includes('renderD128')
    if (name === 'h264_nvenc') return devices.includes('nvidia0')
    return true
  }
}
