import { join } from 'node:path'
import { atOnce, type Camera, heights, within } from './source.ts'
import type { Exec } from './types.ts'

/** Raspberry Pi's programs, by their name of today and the older one. */
const families = ['rpicam', 'libcamera'] as const

/**
 * Cameras at the connector of a Raspberry Pi. Written from the documentation and source of rpicam-apps, not tried on one: pictures go
 * from rpicam-vid to ffmpeg through a named pipe, which makes every size that is wanted of them.
 */
export async function findRaspberryCameras(exec: Exec): Promise<Camera[]> {
  for (const family of families) {
    const listing = await exec.run(`${family}-hello`, ['--list-cameras'], { timeoutMs: 10_000 }).catch(() => undefined)
    if (listing) return parseListing(`${listing.stdout}\n${listing.stderr}`).map((found) => camera(`${family}-vid`, exec, found))
  }
  return []
}

interface Listed {
  readonly index: string
  readonly sensor: string
  readonly height: number
  readonly path: string
}

/** Lines such as `0 : imx708 [4608x2592 10-bit RGGB] (/base/axi/pcie@120000/rp1/i2c@88000/imx708@1a)`. */
export function parseListing(text: string): Listed[] {
  const lines = text.matchAll(/^(\d+) : (\S+) \[(\d+)x(\d+)[^\]]*\] \((\S+)\)/gm)
  return [...lines].map(([, index = '', sensor = '', , height, path = '']) => ({ index, sensor, height: Number(height), path }))
}

function camera(program: string, exec: Exec, { index, sensor, height, path }: Listed): Camera {
  return {
    id: path,
    name: `Raspberry Pi camera ${sensor}`,
    kind: 'rpicam',
    resolutions: within(height),
    async input({ resolution, target, directory }) {
      const pipe = join(directory, 'pictures')
      await exec.run('mkfifo', ['-m', '600', pipe])
      // Multiples of 64, so that no line has padding.
      const size = [{ '480p': 832, '720p': 1280, '1080p': 1920 }[resolution], heights[resolution]].map(String) as [string, string]
      const rate = String(target.frameRate)
      const pictures = ['--codec', 'yuv420', '--width', size[0], '--height', size[1], '--framerate', rate, '--flush']
      return {
        args: [
          ...['-use_wallclock_as_timestamps', '1', ...atOnce, '-probesize', '32'],
          ...['-f', 'rawvideo', '-pixel_format', 'yuv420p', '-video_size', size.join('x'), '-framerate', rate, '-i', pipe],
        ],
        feeder: { program, args: ['--camera', index, '--nopreview', '--timeout', '0', ...pictures, '--output', pipe], pipe },
      }
    },
  }
}
