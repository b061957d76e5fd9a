// Inside the lab machine, bundled by camera.test.ts: the camera's driver as whoever runs this, without a host. Says a line of JSON for
// everything that happens; does what it reads, a word a line.
import { createInterface } from 'node:readline'
import { createExec } from '../../../core/process/exec.ts'
import { createLens } from '../../../plugins/camera/driver/lens.ts'
import type { Feed, Watcher } from '../../../plugins/camera/driver/types.ts'

const say = (what: string, value: unknown = null) => process.stdout.write(`${JSON.stringify({ what, value })}\n`)
const exec = createExec(['ffmpeg', 'ffprobe', 'mkfifo', 'rpicam-hello', 'libcamera-hello'])
const lens = createLens(exec, { camera: '', network: [], simulated: false, encoder: 'auto' })
lens.onCameras((cameras) => say('cameras', cameras))
lens.onStatus((status) => say('status', status))

let feed: Feed | undefined
let seen = 0
const watcher: Watcher = {
  unit: ({ isKey }) => {
    seen += 1
    if (seen % 10 === 1) say('seen', { seen, isKey })
  },
  interrupted: ({ code, sentence }) => say('interrupted', { code, sentence }),
  resumed: () => say('resumed'),
}
const failed = (error: unknown) => {
  const { code, message, mend, cause } = error as { code?: string; message?: string; mend?: string; cause?: unknown }
  say('failed', { code, message, mend, cause: String(cause) })
}
const deeds: Record<string, () => Promise<void>> = {
  async watch() {
    feed = await lens.watch('480p', watcher)
    say('watching')
  },
  async leave() {
    feed?.close()
    say('left')
  },
  async snapshot() {
    const { jpeg, at } = await lens.snapshot({ resolution: '720p', quality: 80, signal: AbortSignal.timeout(60_000) })
    say('snapshot', { bytes: jpeg.length, age: Date.now() - at })
  },
  async end() {
    await lens.close()
    process.exit(0)
  },
}
createInterface({ input: process.stdin }).on('line', (word) => void deeds[word]?.().catch(failed))
say('ready')
