import { definePlugin } from 'patchbay/plugin'
import { mdns } from './contract.ts'
import { Announcer } from './driver/avahi.ts'
import { serviceAt, urlAt } from './driver/service.ts'

interface Status {
  readonly announced: boolean
  readonly name?: string
  readonly url?: string
  readonly reason?: string
  /** What a person can do about it. */
  readonly mend?: string
}

const service = 'org.freedesktop.Avahi'
const stopped: Status = { announced: false, reason: 'Avahi is not running.', mend: 'sudo systemctl enable --now avahi-daemon' }

export default definePlugin(mdns, {
  start(ctx) {
    const announcer = new Announcer((request) => ctx.dbus.call({ service, timeoutMs: 3000, ...request }))
    let isRunning: boolean | undefined
    let lookedAt = ''
    let status: Status = { announced: false }
    let published = ''
    /** One look after the other. */
    let looking = Promise.resolve()

    const look = async (): Promise<Status> => {
      const { url } = ctx.host.listening()
      const [wanted, isSame] = [serviceAt(url), url === lookedAt]
      lookedAt = url
      if (!wanted) {
        await announcer.withdraw()
        return { announced: false, reason: `Patchbay listens at ${url} only, where no other machine reaches it.` }
      }
      // Not called, which would start it: whoever stopped it has a reason.
      if (!isRunning) return stopped
      if (isSame && status.announced && (await announcer.isStanding())) return status
      const { name, host } = await announcer.announce('Patchbay', wanted, ctx.signal)
      return { announced: true, name, url: urlAt(url, host) }
    }
    const update = () => {
      looking = looking.then(async () => {
        // nothing is said before the bus has said whether Avahi runs
        if (ctx.signal.aborted || isRunning === undefined) return
        status = await look().catch((error: Error) => (isRunning ? { announced: false, reason: error.message } : stopped))
        if (ctx.signal.aborted) return
        const { mend: _, ...told } = status
        if (JSON.stringify(told) !== published) ctx.publish('mdns:status', told)
        published = JSON.stringify(told)
      })
      return looking
    }

    const watch = ctx.dbus.watchName(service, (now) => {
      isRunning = now
      void update()
    })
    // The watch is what keeps the connection open, and with it what was announced.
    ctx.own(watch)
    ctx.own(async () => {
      await looking
      await announcer.withdraw()
    })
    ctx.own(ctx.host.onChange(() => ctx.host.listening().url !== lookedAt && void update()))
    ctx.onSubscribe(() => update())
    ctx.diagnose(async () => {
      await update()
      const { announced, name, url, reason = 'The system bus has not answered yet.', mend } = status
      const sentence = announced ? `Announced as "${name}", at ${url}.` : `Nothing is announced. ${reason}`
      const ok = announced || serviceAt(lookedAt) === undefined
      return [{ kind: 'mdns', name: 'announcement', ok, optional: true, sentence, ...(mend && { mend }) }]
    })
  },
})
