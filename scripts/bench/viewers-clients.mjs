// The process that the viewers of viewers.mjs live in.
import { setTimeout as delay } from 'node:timers/promises'
import { io } from 'socket.io-client'
import { connected } from '../../core/testing/host.ts'
import { Receiver } from '../../plugins/camera/test/receiver.ts'
import { openPage, startBrowser } from '../../test/e2e/browser.ts'
import { Screen } from '../../test/e2e/screen.ts'
import { serve } from './remote.mjs'

let watching = []
let browser
/** What tests hand their cleaning up to; all of it ends with this process. */
const t = { teardown() {} }

async function enter(url, auth) {
  const client = await connected(io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false }))
  await client.ask('module:subscribe', { module: 'camera' })
  return client
}

serve({
  count: () => watching.length,
  /** One after the other. Milliseconds that each waited for its first packet. */
  async watch(url, auths, resolution) {
    const times = []
    for (const auth of auths) {
      const client = await enter(url, auth)
      const receiver = new Receiver(t, client)
      const begun = performance.now()
      const { success, error } = await receiver.start(resolution)
      if (!success) throw new Error(error)
      await receiver.more(1)
      times.push(performance.now() - begun)
      watching.push(receiver)
    }
    return times
  },
  leave() {
    for (const receiver of watching) {
      receiver.hangUp()
      receiver.client.socket.close()
    }
    watching = []
  },
  async openBrowser() {
    browser = await startBrowser(t)
  },
  closeBrowser: () => browser.close(),
  /**
   * Chromium watches for a while. Milliseconds from `camera:start` until it has shown a picture, and from the stamps in pictures until it has
   * shown those, ten a second.
   */
  async browse(url, auth, resolution, seconds) {
    const client = await enter(url, auth)
    const page = await openPage(t, browser)
    const screen = await Screen.open(page, client)
    const begun = Date.now()
    const { success, error } = await screen.start(resolution)
    if (!success) throw new Error(error)
    const { seenAt } = await screen.until(({ frames }) => frames > 0, 'a picture')
    await delay(seconds > 0 ? 2000 : 0)
    const ages = []
    for (let look = 0; look < seconds * 10; look++) {
      const seen = await screen.look()
      ages.push((((seen.seenAt % 65_536) - seen.madeAt + 65_536 + 1000) % 65_536) - 1000)
      await delay(100)
    }
    await client.ask('camera:stop')
    client.socket.close()
    await page.context().close()
    return { first: seenAt - begun, ages }
  },
})
