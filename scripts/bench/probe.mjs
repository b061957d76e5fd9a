// Preloaded into a server (--import): tells the bench what it costs.
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { serve } from './remote.mjs'

let session

/** Microseconds between two of a profile's samples. */
const samplingUs = 100

serve({
  /** Microseconds, user and system, of all threads so far. */
  cpu() {
    const { user, system } = process.cpuUsage()
    return user + system
  },

  /** Bytes, after a collection. */
  heap() {
    setFlagsFromString('--expose-gc')
    runInNewContext('gc')()
    return process.memoryUsage().heapUsed
  },

  async startProfile() {
    session = new Session()
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: samplingUs })
    await session.post('Profiler.start')
  },

  /** Microseconds spent in functions of files whose URL contains `part` and what they called, up to calls of `until`. */
  async stopProfile({ file, part, until } = {}) {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    if (file) writeFileSync(file, JSON.stringify(profile))
    if (!part) return 0
    const byId = new Map(profile.nodes.map((node) => [node.id, node]))
    const inside = new Set()
    const visit = (node, isInside) => {
      const { url, functionName } = node.callFrame
      const now = functionName !== until && (isInside || url.includes(part))
      if (now) inside.add(node.id)
      for (const child of node.children ?? []) visit(byId.get(child), now)
    }
    visit(profile.nodes[0], false)
    return profile.samples.reduce((sum, id, index) => sum + (inside.has(id) ? profile.timeDeltas[index] : 0), 0)
  },
})
