// The process that the camera's driver lives in: camera.mjs tells it who watches.
import { setTimeout as delay } from 'node:timers/promises'
import { createExec } from '../../core/process/exec.ts'
import { createLens } from '../../plugins/camera/driver/lens.ts'
import { serve } from './remote.mjs'

const exec = createExec(['ffmpeg', 'ffprobe', 'rpicam-hello', 'libcamera-hello'])
const open = () => createLens(exec, { camera: 'simulated', network: [], simulated: true, encoder: 'libx264' })
const nobody = { unit() {}, interrupted() {}, resumed() {} }
let lens = open()
let feeds = []
let ages = []
const watcher = { ...nobody, unit: ({ at }) => ages.push(Date.now() - at) }

/** Milliseconds until the first picture. */
async function first(from) {
  const begun = performance.now()
  const feed = await from.watch('720p', nobody)
  const took = performance.now() - begun
  return { feed, took }
}
const leave = () => {
  for (const feed of feeds) feed.close()
  feeds = []
}

serve({
  async watch(resolution, viewers) {
    while (feeds.length < viewers) feeds.push(await lens.watch(resolution, feeds.length === 0 ? watcher : nobody))
    ages = []
  },
  ages: () => ages.slice(30),
  async leave() {
    leave()
    await lens.close()
    lens = open()
    await delay(1000) // it has found its encoder
  },
  async cold(tries) {
    const times = []
    for (let i = 0; i < tries; i++) {
      const fresh = open()
      await delay(1500)
      const { took } = await first(fresh)
      times.push(took)
      await fresh.close()
    }
    return times
  },
  async warm(tries) {
    const times = []
    const { feed: standing } = await first(lens)
    for (let i = 0; i < tries; i++) {
      await delay(700)
      const { feed, took } = await first(lens)
      times.push(took)
      feed.close()
    }
    standing.close()
    return times
  },
  async memory(cycles) {
    await lens.close()
    const once = async () => {
      const fresh = open()
      await first(fresh)
      await fresh.close()
    }
    const rss = () => {
      globalThis.gc()
      return process.memoryUsage().rss
    }
    for (let i = 0; i < 3; i++) await once()
    const before = rss()
    for (let i = 0; i < cycles; i++) await once()
    return [before, rss()]
  },
})
