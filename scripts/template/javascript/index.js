import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { definePlugin } from 'patchbay/plugin'

const contract = JSON.parse(await readFile(new URL('./contract.json', import.meta.url), 'utf8'))

/** The driver: it knows the machine, and nothing of Patchbay. Throws if the file is not what the kernel writes. */
export async function readLoad(file = '/proc/loadavg', cores = availableParallelism()) {
  const text = await readFile(file, 'utf8')
  const lastMinute = Number(text.split(' ')[0] || Number.NaN)
  if (Number.isNaN(lastMinute)) throw new Error(`${file} begins with no number: ${text.slice(0, 40)}`)
  return lastMinute / cores
}

/** Wiring only: what the driver knows goes to those who asked. */
export default definePlugin(contract, {
  start(ctx) {
    const measure = async () => {
      const perCore = await readLoad().catch((err) => {
        ctx.log.error({ err }, 'could not measure')
        throw ctx.error('SAMPLE_UNREADABLE')
      })
      return { perCore, isBusy: perCore > ctx.settings.busyAbove }
    }

    ctx.handle('sample:measure', async ({ tell }) => {
      const load = await measure()
      if (tell) ctx.publish('sample:load', load)
      return load
    })

    // With nobody subscribed nothing is measured. What fails here reaches the subscribers as an error with its code.
    ctx.whileSubscribed(async (watch) => {
      const tell = async () => watch.publish('sample:load', await measure())
      const timer = setInterval(() => void tell().catch(() => ctx.publishError('SAMPLE_UNREADABLE')), ctx.settings.everyMs)
      watch.own(() => clearInterval(timer))
      await tell()
    })
  },
})
