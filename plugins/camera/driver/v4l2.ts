import { readdir, readFile, realpath } from 'node:fs/promises'
import { atOnce, type Camera, heights, type Input, type InputRequest, within } from './source.ts'
import type { Exec } from './types.ts'

/** What belongs to a Raspberry Pi's own camera, which libcamera opens, and what is no camera. */
const NO_CAMERA = /^(unicam|rp1-cfe|pispbe|bcm2835-|rpi-|rpivid|hevc)/

/** What raw pictures in colour come in. */
const COLOURS = ['yuyv422', 'uyvy422', 'yvyu422', 'nv12', 'nv21', 'yuv420p', 'yuv422p', 'rgb24', 'bgr24']

/** A device that gives pictures. */
export interface Device {
  /** `/dev/video0` */
  readonly path: string
  readonly id: string
  readonly name: string
}

interface Format {
  /** In ffmpeg's words: `mjpeg`, `h264`, or a raw one. */
  readonly name: string
  readonly isRaw: boolean
  readonly sizes: readonly (readonly [width: number, height: number])[]
}

/** Where Linux tells of them; `sys` and `udev` for tests. */
interface Places {
  readonly sys?: string
  readonly udev?: string
}

/** What is plugged in, without opening any of it. */
export async function findDevices({ sys = '/sys/class/video4linux', udev = '/run/udev/data' }: Places = {}): Promise<Device[]> {
  const nodes = (await readdir(sys).catch(() => [])).filter((node) => /^video\d+$/.test(node))
  const found = await Promise.all(nodes.toSorted(byNumber).map((node) => readDevice(sys, udev, node)))
  return found.flatMap((device) => device ?? [])
}

const byNumber = (a: string, b: string) => Number(a.slice(5)) - Number(b.slice(5))

/** A Raspberry Pi's connector with a camera at it, which libcamera opens. */
export async function hasConnectedSensor(sys = '/sys/class/video4linux'): Promise<boolean> {
  const nodes = await readdir(sys).catch(() => [])
  const names = await Promise.all(nodes.map((node) => readFile(`${sys}/${node}/name`, 'utf8').catch(() => '')))
  return names.some((name) => /^(unicam|rp1-cfe)/.test(name))
}

async function readDevice(sys: string, udev: string, node: string): Promise<Device | undefined> {
  const read = (file: string) =>
    readFile(`${sys}/${node}/${file}`, 'utf8').then(
      (text) => text.trim(),
      () => '',
    )
  const [name, number, index] = await Promise.all([read('name'), read('dev'), read('index')])
  if (number === '' || NO_CAMERA.test(name)) return undefined
  const record = await readFile(`${udev}/c${number}`, 'utf8').catch(() => '')
  const abilities = /^E:ID_V4L_CAPABILITIES=(.*)$/m.exec(record)?.[1]
  // Without udev: the first node of a camera gives pictures, others tell of them.
  const isCamera =
    abilities === undefined ? index === '0' : abilities.includes(':capture:') && !abilities.includes(':video_output:')
  if (!isCamera) return undefined
  const links = [...record.matchAll(/^S:v4l\/by-(?:id|path)\/(.+)$/gm)].map(([, link]) => link as string)
  // That of the camera itself before that of its socket.
  const id = /^S:v4l\/by-id\/(.+)$/m.exec(record)?.[1] ?? links[0] ?? node
  return { path: `/dev/${node}`, id, name: name || node }
}

/** Opens it for a moment, to hear what it can. `isKnown`: it answered. */
export async function describeDevice(exec: Exec, device: Device): Promise<{ camera: Camera; isKnown: boolean }> {
  const ask = ['-hide_banner', '-nostdin', '-f', 'v4l2', '-list_formats', 'all', '-i', device.path]
  const answer = await exec.run('ffmpeg', ask, { timeoutMs: 15_000 }).catch(() => undefined)
  const formats = parseFormats(answer?.stderr ?? '')
  const highest = Math.max(480, ...formats.flatMap(({ sizes }) => sizes.map(([, height]) => height)))
  const camera: Camera = {
    id: device.id,
    name: device.name,
    kind: 'v4l2',
    resolutions: within(highest),
    device: device.path,
    input: (request) => Promise.resolve(inputOf(device.path, formats, request)),
  }
  return { camera, isKnown: formats.length > 0 }
}

/** Lines such as `Compressed: mjpeg : Motion-JPEG : 640x480 1280x720`. */
export function parseFormats(text: string): Format[] {
  const lines = text.matchAll(/\] (Raw|Compressed) *: *([^\s:]+) *:.*: ([^:\n]*)$/gm)
  return [...lines].flatMap(([, kind, name = '', said = '']) => {
    const exact = [...said.matchAll(/(?<![\d-])(\d+)x(\d+)/g)].map(
      ([, width, height]) => [Number(width), Number(height)] as const,
    )
    // Any size within bounds: those that are asked for.
    const bounds = /\{(\d+)-(\d+), \d+\}x\{(\d+)-(\d+), \d+\}/.exec(said)
    const [most = 0, highest = 0] = bounds ? [Number(bounds[2]), Number(bounds[4])] : []
    const free = Object.values(heights).map((height) => [Math.round((height * 16) / 9 / 16) * 16, height] as const)
    const sizes = [...exact, ...free.filter(([width, height]) => width <= most && height <= highest)]
    return name === 'Unsupported' || sizes.length === 0 ? [] : [{ name, isRaw: kind === 'Raw', sizes }]
  })
}

function inputOf(path: string, formats: readonly Format[], { resolution, target }: InputRequest): Input {
  const wanted = heights[resolution]
  const best = choose(formats, wanted)
  const format = best ? ['-input_format', best.name, '-video_size', best.size.join('x')] : []
  const args = ['-ts', 'abs', ...atOnce, '-f', 'v4l2', ...format, '-framerate', String(target.frameRate), '-i', path]
  return best?.name === 'h264' ? { args, ready: resolution } : { args }
}

/**
 * The smallest size that is enough, or else the largest; of formats of that size H.264 if it is exactly what is wanted, then JPEG (raw
 * pictures of that size do not fit through USB 2 often enough in a second), then what is raw.
 */
export function choose(
  formats: readonly Format[],
  wanted: number,
): { name: string; size: readonly [number, number] } | undefined {
  const all = formats.flatMap(({ name, isRaw, sizes }) => sizes.map((size) => ({ name, isRaw, size })))
  const enough = all.filter(({ size: [, height] }) => height >= wanted)
  const height = (enough.length > 0 ? Math.min : Math.max)(...(enough.length > 0 ? enough : all).map(({ size }) => size[1]))
  const rank = ({ name, isRaw }: { name: string; isRaw: boolean }) => {
    if (name === 'h264') return height === wanted ? 0 : 9
    // Depth and infrared come in formats of their own.
    if (isRaw && !COLOURS.includes(name)) return 8
    if (height <= 480) return isRaw ? 1 : 2
    return name === 'mjpeg' ? 1 : 2
  }
  const usable = all.filter(({ name, isRaw, size }) => size[1] === height && (isRaw || name === 'mjpeg' || name === 'h264'))
  return usable.toSorted((a, b) => rank(a) - rank(b) || b.size[0] - a.size[0])[0]
}

/** Who else has a device open, as far as this user may see it: the name of the program. */
export async function holderOf(path: string, proc = '/proc'): Promise<string | undefined> {
  for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry))) {
    const descriptors = await readdir(`${proc}/${pid}/fd`).catch(() => [])
    const files = await Promise.all(descriptors.map((fd) => realpath(`${proc}/${pid}/fd/${fd}`).catch(() => '')))
    if (files.includes(path)) return (await readFile(`${proc}/${pid}/comm`, 'utf8').catch(() => '')).trim() || undefined
  }
  return undefined
}
