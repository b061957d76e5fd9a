import { definePlugin } from 'patchbay/plugin'
import { system } from './contract.ts'
import type { Info } from './driver/info.ts'
import { thisMachine } from './driver/machine.ts'
import type { Throttling } from './driver/throttling.ts'
import { startTicker } from './driver/ticker.ts'

const STATS = { firstMs: 200, intervalMs: 2000 }
/** It starts a program, which is too dear for every tick. */
const THROTTLING = { firstMs: 0, intervalMs: 30_000 }
const POWER = [
  { action: 'reboot', code: 'SYSTEM_REBOOT_FAILED', gerund: 'restarting', verb: 'restart' },
  { action: 'shutdown', code: 'SYSTEM_SHUTDOWN_FAILED', gerund: 'shutting down', verb: 'shut down' },
] as const

export default definePlugin(system, {
  async start(context) {
    const { log, settings } = context
    const machine = settings.simulated
      ? (await import('./driver/simulated.ts')).simulatedMachine(settings.historyIntervalS)
      : thisMachine(settings.historyIntervalS, context.dbus, context.exec)
    const { sampler, history } = machine
    let info: Promise<Info> | undefined

    if (settings.historyIntervalS > 0) {
      const interval = { firstMs: 0, intervalMs: settings.historyIntervalS * 1000 }
      context.own(
        startTicker(
          interval,
          () => history.sample(),
          once((err) => log.warn({ err }, 'no history sample')),
        ),
      )
    }
    context.provide('system:history', () => history.columns())
    context.provide('system:info', () => {
      info ??= machine.info((err) => log.warn({ err }, 'systeminformation does not tell the model'))
      return info
    })

    context.whileSubscribed((watch) => {
      let throttling: Throttling | undefined
      const report = once((err) => {
        log.warn({ err }, 'no figures')
        context.publishError('SYSTEM_READ_FAILED')
      })
      sampler.begin()
      watch.own(
        startTicker(
          STATS,
          async () => {
            const stats = await sampler.sample()
            if (!watch.signal.aborted) watch.publish('system:stats', throttling ? { ...stats, throttling } : stats)
          },
          report,
        ),
      )
      if (!machine.complains) return
      const ask = async () => {
        const asked = machine.throttling()
        throttling = await asked.catch(() => undefined)
        await asked
      }
      watch.own(
        startTicker(
          THROTTLING,
          ask,
          once((err) => log.info({ err }, 'vcgencmd does not tell about throttling')),
        ),
      )
    })

    context.diagnose(() => machine.findPower())
    for (const { action, code, gerund, verb } of POWER) {
      context.handle(`system:${action}`, async (_, call) => {
        const verdict = await machine.canPower(action)
        if (verdict.can === 'unavailable') throw context.error('MODULE_UNAVAILABLE', verdict.reason)
        if (verdict.can !== 'yes') throw context.error('FORBIDDEN', verdict.reason)
        log.warn({ userId: call.caller.userId }, `${gerund} the machine`)
        call.afterAck(async () => {
          try {
            await machine.power(action)
          } catch (error) {
            log.error({ err: error }, `the machine does not ${verb}`)
            const said = error instanceof Error ? error.message : String(error)
            context.publishError(code, `The machine does not ${verb}: ${said}`)
          }
        })
      })
    }
  },
})

/** What fails every two seconds is said once. */
function once(report: (error: unknown) => void): (error: unknown) => void {
  let said = false
  return (error) => {
    if (!said) report(error)
    said = true
  }
}
