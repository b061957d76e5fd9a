// The process that the viewers of viewers.mjs live in.
import { io } from 'socket.io-client'
import { connected } from '../../core/testing/host.ts'
import { Receiver } from '../../plugins/camera/test/receiver.ts'
import { serve } from './remote.mjs'

let watching = []

serve({
  count: () => watching.length,
  /** One after the other. Milliseconds that each waited for its first packet. */
  async watch(url, auths) {
    const times = []
    for (const auth of auths) {
      const client = await connected(io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false }))
      await client.ask('module:subscribe', { module: 'camera' })
      const receiver = new Receiver({ teardown() {} }, client)
      const begun = performance.now()
      const { success, error } = await receiver.start('720p')
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
})
