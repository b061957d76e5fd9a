import { definePlugin } from 'patchbay/plugin'
import { storage } from './contract.ts'
import { watchDrives } from './driver/hotplug.ts'
import { createReader } from './driver/storage.ts'
import { findings } from './findings.ts'

/** A later subscriber gets a new reading when the last is older than this. */
const FRESH_MS = 60_000

export default definePlugin(storage, {
  async start(ctx) {
    const { simulated } = ctx.settings
    const read = simulated
      ? (await import('./driver/simulated.ts')).simulatedReader()
      : createReader({ run: (program, args, options) => ctx.exec.run(program, args, { ...options, signal: ctx.signal }) })
    let audience: Pick<typeof ctx, 'publish' | 'forget'> | undefined
    let readAt = Number.NEGATIVE_INFINITY
    let reading = false
    let logged: string | undefined

    /** Publishes all that could be read and returns why the rest could not. */
    const update = async (how?: 'anew') => {
      reading = true
      try {
        const { health, drives, partitions, failure } = await read(how)
        if (health) audience?.publish('storage:health', health)
        else audience?.forget('storage:health')
        audience?.publish('storage:drives', drives)
        if (partitions) audience?.publish('storage:partitions', partitions)
        if (failure && failure.message !== logged) ctx.log.warn({ code: failure.code, cause: failure.cause }, failure.message)
        logged = failure?.message
        readAt = failure ? Number.NEGATIVE_INFINITY : performance.now()
        return failure
      } finally {
        reading = false
      }
    }
    const show = async (how?: 'anew') => {
      const failure = await update(how)
      if (failure && !ctx.signal.aborted) ctx.publishError(failure.code, failure.message)
    }
    const showAnew = () => {
      show('anew').catch((err: unknown) => ctx.log.error({ err }, 'the drives cannot be read'))
    }

    ctx.diagnose(async () => findings(await read()))
    ctx.handle('storage:refresh', async () => {
      const failure = await update()
      if (failure) throw ctx.error(failure.code, failure.message)
    })
    ctx.whileSubscribed((watch) => {
      audience = watch
      watch.own(() => {
        audience = undefined
      })
      try {
        if (!simulated) watch.own(watchDrives(showAnew))
      } catch (err) {
        ctx.log.warn({ err }, 'a drive that comes or goes is not noticed before the next reading')
      }
      return show()
    })
    ctx.onSubscribe(() => {
      if (!reading && performance.now() - readAt > FRESH_MS) return show()
    })
  },
})
