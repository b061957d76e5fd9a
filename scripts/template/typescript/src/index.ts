import { definePlugin } from 'patchbay/plugin'
import { contract } from './contract.ts'
import { readLoad } from './load.ts'

/** Wiring only: what the driver knows goes to those who asked. */
export default definePlugin(contract, {
  start(ctx) {
    const measure = async () => {
      const perCore = await readLoad().catch((err: unknown) => {
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
