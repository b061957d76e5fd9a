import { atOnce, type Camera, heights, type Input, resolutions } from './source.ts'
import type { Exec, Resolution } from './types.ts'

/** RTSP's and nothing else: what a camera answers cannot make ffmpeg open a file or ask another server. */
const protocols = ['-protocol_whitelist', 'pipe,rtsp,rtp,tcp,udp']
/** Microseconds without a word. */
const PATIENCE_US = 4_000_000
const PROBE_MS = 3500

/** A camera of the network, of the settings. Throws with a sentence if the address is none. */
export function networkCamera(exec: Exec, { name, url }: { name: string; url: string }): Camera {
  mustBeRtsp(name, url)
  // The same whenever the list is written anew, and without what is secret in the address.
  const { host, pathname } = new URL(url)
  let known: Promise<Resolution | undefined> | undefined
  return {
    id: `rtsp://${host}${pathname}`,
    name,
    kind: 'rtsp',
    isShared: true,
    resolutions,
    async input({ resolution }) {
      known ??= readyResolution(exec, url)
      const ready = await known.catch(() => undefined)
      if (ready === undefined) known = undefined
      const input: Input = {
        args: [...atOnce, ...script, '-i', 'pipe:0'],
        script: scriptFor(url),
      }
      return ready === resolution ? { ...input, ready } : input
    },
  }
}

/** The address comes by ffmpeg's standard input: in a list of arguments all users of the machine could read the password. */
const script = ['-f', 'concat', '-safe', '0', ...protocols]
function scriptFor(url: string): string {
  const options = [
    'rtsp_flags prefer_tcp',
    'allowed_media_types video',
    `timeout ${PATIENCE_US}`,
    'fflags nobuffer',
    'fpsprobesize 0',
  ]
  return ['ffconcat version 1.0', `file '${url}'`, ...options.map((option) => `option ${option}`), ''].join('\n')
}

/** Which resolution its own H.264 is, if it is H.264 that a browser can show. */
async function readyResolution(exec: Exec, url: string): Promise<Resolution | undefined> {
  let said = ''
  const signal = AbortSignal.timeout(PROBE_MS)
  const onStdout = (piece: Uint8Array) => {
    said = (said + Buffer.from(piece).toString('latin1')).slice(0, 10_000)
  }
  const show = [
    '-v',
    'quiet',
    '-select_streams',
    'v:0',
    '-show_entries',
    'stream=codec_name,height,has_b_frames',
    '-of',
    'default=nw=1',
  ]
  const probe = await exec.start('ffprobe', [...show, ...script, '-i', 'pipe:0'], { onStdout, signal })
  await probe.write(scriptFor(url)).catch(() => undefined)
  probe.end()
  await probe.ended
  const {
    codec_name: codec,
    height,
    has_b_frames: later,
  } = Object.fromEntries(said.split('\n').map((line) => line.split('=') as [string, string]))
  if (codec !== 'h264' || later !== '0') return undefined
  return resolutions.find((resolution) => Number(height) <= heights[resolution])
}

function mustBeRtsp(name: string, url: string): void {
  // What could end the word in the script cannot be in it.
  const isClean = /^rtsp:\/\/[\x21-\x7e]+$/.test(url) && !/['"\\]/.test(url)
  if (!isClean || !URL.canParse(url)) throw new Error(`The address of the camera ${name} is not one of RTSP (rtsp://...).`)
}
