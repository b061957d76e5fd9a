import { type Call, type DBus, definePlugin } from 'patchbay/plugin'
import { wifi } from './contract.ts'
import { arrivedOver } from './driver/arrival.ts'
import type { Bus } from './driver/bus.ts'
import { WifiError } from './driver/failure.ts'
import { Keeper } from './driver/keeper.ts'
import { type Asker, Wifi } from './driver/wifi.ts'

const service = 'org.freedesktop.NetworkManager'

export default definePlugin(wifi, {
  async start(ctx) {
    const bus = ctx.settings.simulated
      ? new (await import('./driver/simulated.ts')).SimulatedNetworkManager(ctx.signal)
      : overBus(ctx.dbus)
    const radio = new Wifi(bus, () => ctx.publishError('WIFI_ROLLED_BACK'))
    ctx.own(() => radio.stop())

    const ask = async ({ caller: { userId, localAddress } }: Call): Promise<Asker> => ({
      arrivedOver: await arrivedOver(localAddress),
      heard: (signal) =>
        new Promise((resolve, reject) => {
          const release = ctx.onHeard((who) => who === userId && end(resolve))
          const end = (settle: () => void) => {
            release()
            settle()
          }
          signal.addEventListener('abort', () => end(() => reject(signal.reason as Error)))
        }),
    })
    /** A failure of the driver becomes its code's. */
    const coded = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof WifiError)) throw error
        const { code, message, details } = error
        throw ctx.error(code, message || undefined, details && { details })
      }
      // what has changed is told before it is answered
      await keeper?.show()
    }

    let keeper: Keeper | undefined
    ctx.handle('wifi:scan', () => coded(() => radio.scan()))
    ctx.handle('wifi:connect', (wish, call) => coded(async () => radio.connect(wish, await ask(call))))
    ctx.handle('wifi:disconnect', (_, call) => coded(async () => radio.disconnect(await ask(call))))
    ctx.handle('wifi:forget', ({ ssid }, call) => coded(async () => radio.forget(ssid, await ask(call))))
    ctx.handle('wifi:radio', ({ enabled }, call) => coded(async () => radio.setRadio(enabled, await ask(call))))
    ctx.whileSubscribed(async (watch) => {
      watch.own(await radio.manager.open())
      const own = new Keeper(radio, {
        status: (status) => watch.publish('wifi:status', status),
        networks: (networks) => watch.publish('wifi:networks', networks),
        saved: (saved) => watch.publish('wifi:saved', saved),
      })
      watch.own(() => {
        own.stop()
        if (keeper === own) keeper = undefined
      })
      keeper = own
      await own.show()
    })
  },
})

function overBus(dbus: DBus): Bus {
  return {
    call: (request) => dbus.call({ service, ...request }),
    onSignal: (filter, listener) => dbus.onSignal(service, filter, listener),
    watchObjects: (options, onChange) => dbus.watchObjects(service, options, onChange),
  }
}
