import * as os from 'node:os'
import { definePlugin } from 'patchbay/plugin'
import { system } from './contract.ts'
import { createHistory } from './driver/history.ts'
import { askModel, type Info, readInfo } from './driver/info.ts'
import { createNetwork } from './driver/network.ts'
import { canPower, findPower, power } from './driver/power.ts'
import { createSampler } from './driver/sampler.ts'
import { createSensors } from './driver/sensors.ts'
import { isRaspberryPi, readThrottling, type Throttling } from './driver/throttling.ts'
import { startTicker } from './driver/ticker.ts'

const STATS = { firstMs: 200, intervalMs: 2000 }
/** It starts a program, which is too dear for every tick. */
const THROTTLING = { firstMs: 0, intervalMs: 30_000 }
const POWER = [
  { action: 'reboot', code: 'SYSTEM_REBOOT_FAILED', gerund: 'restarting', verb: 'restart' },
  { action: 'shutdown', code: 'SYSTEM_SHUTDOWN_FAILED', gerund: 'shutting down', verb: 'shut down' },
] as const
/** The files begin here; driver tests begin elsewhere. */
const ROOT = ''

export default definePlugin(system, {
  start(context) {
    const { log, settings } = context
    const sensors = createSensors(ROOT)
    const network = createNetwork(ROOT, os.networkInterfaces)
    const sampler = createSampler(ROOT, { machine: os, sensors, network })
    const history = createHistory(ROOT, settings.historyIntervalS, { sensors, network })
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
      info ??= readInfo(ROOT, () =>
        askModel().catch((err: unknown) => {
          log.warn({ err }, 'systeminformation does not tell the model')
          return ''
        }),
      )
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
      if (!isRaspberryPi(ROOT)) return
      const ask = async () => {
        const asked = readThrottling(context.exec)
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

    context.diagnose(() => findPower(context.dbus))
    for (const { action, code, gerund, verb } of POWER) {
      context.handle(`system:${action}`, async (_, call) => {
        const verdict = await canPower(context.dbus, action)
        if (verdict.can === 'unavailable') throw context.error('MODULE_UNAVAILABLE', verdict.reason)
        if (verdict.can !== 'yes') throw context.error('FORBIDDEN', verdict.reason)
        log.warn({ userId: call.caller.userId }, `${gerund} the machine`)
        call.afterAck(async () => {
          try {
            await power(context.dbus, action)
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
