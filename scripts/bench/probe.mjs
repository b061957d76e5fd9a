// Preloaded into a server (--import): tells the bench what it costs.
import fs, { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { serve } from './remote.mjs'

let session
let reads = 0

for (const name of ['readFileSync', 'openSync', 'readdirSync', 'statSync', 'existsSync']) {
  const original = fs[name]
  fs[name] = (...args) => {
    reads++
    return original(...args)
  }
}
syncBuiltinESMExports()

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

  async stopProfile(file) {
    const { profile } = await session.post('Profiler.stop')
    session.disconnect()
    writeFileSync(file, JSON.stringify(profile))
  },

  /** How often a file or directory was read, synchronously, so far. */
  reads: () => reads,
})
