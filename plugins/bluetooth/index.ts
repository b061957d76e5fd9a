import { type DBus, definePlugin, type Finding } from 'patchbay/plugin'
import { bluetooth } from './contract.ts'
import { Bluetooth } from './driver/bluetooth.ts'
import { Failure } from './driver/failure.ts'
import { shownDevices } from './driver/list.ts'
import { interfaces } from './driver/objects.ts'
import type { Service } from './driver/service.ts'
import { Throttle } from './driver/throttle.ts'

const service = 'org.bluez'
const scanMs = 30_000
/** As often as a person can follow. */
const publishMs = 1_000

export default definePlugin(bluetooth, {
  async start(ctx) {
    let audience: Pick<typeof ctx, 'publish'> | undefined
    const told = new Map<string, string>()
    const bluez: Service = ctx.settings.simulated
      ? new (await import('./driver/simulated.ts')).SimulatedBluez()
      : overBus(ctx.dbus)
    const radio = new Bluetooth({
      call: bluez.call,
      adapter: ctx.settings.adapter,
      scanMs,
      onChange: () => audience && throttle.touch(),
      onRefusal: (device, what) =>
        ctx.log.info({ mac: device?.mac ?? 'unknown', what }, 'refused a device that nobody here asked for'),
    })

    const tell: NonNullable<typeof audience>['publish'] = (event, payload) => {
      const text = JSON.stringify(payload)
      if (told.get(event) !== text) audience?.publish(event, payload)
      told.set(event, text)
    }
    const throttle = new Throttle(publishMs, () => {
      const { adapter, block } = radio
      if (!audience || !adapter) return
      const devices = shownDevices(radio.devices)
      const { powered, discoverable, discovering, name, mac } = adapter
      const connectedDevices = devices.filter(({ connected }) => connected)
      tell('bluetooth:status', { powered, discoverable, discovering, blocked: block, adapter: { name, mac }, connectedDevices })
      tell('bluetooth:devices', devices)
    })

    /** What is done is shown before it is answered. */
    const act = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work
      } catch (error) {
        if (error instanceof Failure) throw ctx.error(error.code, error.detail)
        throw error
      } finally {
        if (audience) throttle.touch()
        throttle.flush()
      }
    }

    ctx.handle('bluetooth:scan', async (_, { caller }) => {
      await act(radio.discovery.wish(caller.clientId))
      return { endsInMs: scanMs }
    })
    ctx.handle('bluetooth:stop_scan', (_, { caller }) => act(radio.discovery.end(caller.clientId)))
    ctx.onDisconnect((clientId) => radio.discovery.end(clientId))
    ctx.handle('bluetooth:pair', ({ mac, pin }, { caller, signal, suspendDeadline }) => {
      const name = radio.devices.find((device) => device.mac === mac.toUpperCase())?.name ?? null
      const person = {
        user: caller.userId,
        tell: (question: Parameters<Parameters<typeof radio.pair>[1]['person']['tell']>[0]) =>
          ctx.send({ client: caller.clientId }, 'bluetooth:pairing', { ...question, mac: mac.toUpperCase(), name }),
      }
      return act(radio.pair(mac, { pin, person, signal, suspend: suspendDeadline }))
    })
    ctx.handle('bluetooth:pairing_answer', async ({ id, ...answer }, { caller }) =>
      act((async () => radio.answer(caller.userId, id, answer))()),
    )
    ctx.handle('bluetooth:unpair', ({ mac }) => act(radio.unpair(mac)))
    ctx.handle('bluetooth:connect', ({ mac }, { signal }) => act(radio.connect(mac, signal)))
    ctx.handle('bluetooth:disconnect', ({ mac }) => act(radio.disconnect(mac)))
    ctx.handle('bluetooth:trust', ({ mac, trusted }) => act(radio.trust(mac, trusted)))
    ctx.handle('bluetooth:power', ({ on }) => act(radio.power(on)))
    ctx.handle('bluetooth:discoverable', ({ on }) => act(radio.discoverable(on)))

    ctx.whileSubscribed((watch) => {
      audience = watch
      told.clear()
      throttle.touch()
      return () => {
        audience = undefined
        throttle.stop()
      }
    })
    ctx.onSubscribe(() => void radio.lookForBlock())
    ctx.diagnose(async () => findings(await radio.lookForBlock()))

    ctx.own(() => radio.stop())
    ctx.own(bluez.serve(radio.agent.path, radio.agent.interface, radio.agent.methods))
    // BlueZ forgets its agents when it restarts.
    const register = () =>
      radio.register().catch((failure: Failure) => {
        if (failure.code !== 'BT_SERVICE_GONE') ctx.fail(`BlueZ does not let it ask people about pairings: ${failure.message}`)
      })
    ctx.own(bluez.watchName((isRunning) => void (isRunning && register())))
    await new Promise<void>((resolve) => {
      const see = (objects: Parameters<typeof radio.see>[0]) => {
        radio.see(objects)
        resolve()
      }
      ctx.own(bluez.watchObjects(interfaces, see))
    })
  },
})

function overBus(dbus: DBus): Service {
  return {
    call: (request) => dbus.call({ service, ...request }),
    serve: (...object) => dbus.serve(...object),
    watchName: (listener) => dbus.watchName(service, listener),
    watchObjects: (wanted, onChange) => dbus.watchObjects(service, { interfaces: wanted }, onChange),
  }
}

function findings(block: Awaited<ReturnType<Bluetooth['lookForBlock']>>): Finding[] {
  if (block === 'none') return []
  const sentence = block === 'hard' ? 'Bluetooth is switched off by a switch on the machine.' : 'Bluetooth is blocked by rfkill.'
  const mend = block === 'soft' ? { mend: 'sudo rfkill unblock bluetooth' } : {}
  return [{ kind: 'device', name: 'rfkill', ok: false, optional: true, sentence, ...mend }]
}
