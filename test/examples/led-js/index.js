import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { definePlugin } from 'patchbay/plugin'
import { LedError, Leds } from './leds.js'

const contract = JSON.parse(await readFile(new URL('./contract.json', import.meta.url), 'utf8'))

/** Wiring only: the driver knows LEDs, the contract says who may do what, and here the two meet. */
export default definePlugin(contract, {
  start(ctx) {
    const leds = new Leds(dirname(contract.needs.devices[0]))
    const isShown = (name) => !ctx.settings.hide.includes(name)
    let tell

    ctx.handle('led:set', async ({ name, on }) => {
      if (!isShown(name)) throw ctx.error('LED_UNKNOWN')
      await leds.set(name, on).catch((error) => {
        if (!(error instanceof LedError)) throw error
        if (error.cause) ctx.log.warn({ err: error.cause, led: name }, 'an LED could not be switched')
        throw ctx.error(error.code)
      })
      await tell?.()
    })

    ctx.whileSubscribed(async (watch) => {
      const publish = async () =>
        watch.publish(
          'led:lights',
          (await leds.list()).filter(({ name }) => isShown(name)),
        )
      tell = publish
      watch.own(() => {
        tell = undefined
      })
      await watch.own(leds.watch(() => void publish().catch((err) => ctx.log.error({ err }, 'could not look'))))
      await publish()
    })

    ctx.diagnose(async () => {
      const names = (await leds.names()).filter(isShown)
      return Promise.all(
        names.map(async (name) => {
          const files = await leds.locked(name)
          const found = { kind: 'device', name: `LED ${name}`, optional: true }
          if (files.length === 0) return { ...found, ok: true, sentence: `The LED ${name} can be switched.` }
          const sentence = `The LED ${name} may not be switched by this user. Until the next start of the machine a command mends it.`
          const all = files.join(' ')
          return { ...found, ok: false, sentence, mend: `sudo chgrp ${process.getgid()} ${all} && sudo chmod g+w ${all}` }
        }),
      )
    })
  },
})
