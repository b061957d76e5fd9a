// The clients of the benches: stock ones, all in this process.
import { io } from 'socket.io-client'
import { serve } from './remote.mjs'

const groups = new Map()

serve({
  /**
   * Connects a group of clients, one for each `auth`, and subscribes them to `module` if there is one. Any failure they hear of ends
   * the bench, unless they `mayFail`.
   */
  async connect(name, { url, auths, module, mayFail }) {
    const sockets = []
    groups.set(name, sockets)
    for (let index = 0; index < auths.length; index += 50)
      sockets.push(...(await Promise.all(auths.slice(index, index + 50).map((auth) => connected(url, auth, mayFail)))))
    for (const socket of module ? sockets : []) check(await socket.emitWithAck('module:subscribe', { module }))
  },

  /** Ends a group. */
  close(name) {
    for (const socket of groups.get(name)) socket.off('disconnect').close()
  },

  /** Gives `count` commands on the first socket, `inFlight` of them unanswered at any time. The median round trip in microseconds. */
  load(name, { event, count, inFlight }) {
    const [socket] = groups.get(name)
    const trips = new Float64Array(count)
    let sent = 0
    let answered = 0
    return new Promise((resolve, reject) => {
      const send = () => {
        const index = sent++
        const begun = performance.now()
        socket.emit(event, { ssid: 'Home', password: 'correct horse' }, (answer) => {
          trips[index] = performance.now() - begun
          if (!answer.success) return reject(new Error(JSON.stringify(answer)))
          if (++answered === count) return resolve(trips.sort()[count >> 1] * 1000)
          if (sent < count) send()
        })
      }
      for (let started = 0; started < inFlight; started++) send()
    })
  },

  /** Gives one command on the first socket; resolves with its answer, whatever it is. */
  async ask(name, { event, payload }) {
    return groups.get(name)[0].timeout(30_000).emitWithAck(event, payload)
  },

  /** Kills a plugin's process. Milliseconds until an event that a command has it publish is heard again. */
  async recovery(name, { pid, command, event }) {
    const [socket] = groups.get(name)
    process.kill(pid, 'SIGKILL')
    const begun = performance.now()
    let tookMs
    socket.once(event, () => {
      tookMs = performance.now() - begun
    })
    while (tookMs === undefined) {
      await socket.emitWithAck(command)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    return tookMs
  },

  /** Gives these commands in turn on the first socket, one at a time, for so long: the 99th percentile of each one's round trip in milliseconds. */
  async trips(name, { events, ms }) {
    const [socket] = groups.get(name)
    const trips = Object.fromEntries(events.map((event) => [event, []]))
    for (const end = performance.now() + ms; performance.now() < end; )
      for (const event of events) {
        const begun = performance.now()
        check(await socket.emitWithAck(event, { ssid: 'Home', password: 'correct horse' }))
        trips[event].push(performance.now() - begun)
      }
    return Object.fromEntries(
      Object.entries(trips).map(([event, all]) => [event, all.sort((a, b) => a - b)[Math.floor(all.length * 0.99)]]),
    )
  },

  /** Has an event published `times` times, each as soon as every client of the group has the one before. */
  async fanOut(name, { event, command, times }) {
    const sockets = groups.get(name)
    for (let time = 0; time < times; time++) {
      let left = sockets.length
      const heard = new Promise((resolve) => {
        for (const socket of sockets) socket.once(event, () => --left === 0 && resolve())
      })
      check(await sockets[0].emitWithAck(command))
      await heard
    }
  },

  /** Waits until the first client of the group has heard an event so often. */
  hear(name, { event, times }) {
    const [socket] = groups.get(name)
    return new Promise((resolve) => {
      let left = times
      const listen = () => {
        if (--left > 0) return
        socket.off(event, listen)
        resolve()
      }
      socket.on(event, listen)
    })
  },
})

function connected(url, auth, mayFail) {
  return new Promise((resolve, reject) => {
    const socket = io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false })
    socket.once('connect', () => resolve(socket)).once('connect_error', reject)
    if (mayFail) return
    // Whatever goes wrong would be measured as speed.
    socket.on('error', (error) => fail(`a client was told ${JSON.stringify(error)}`))
    socket.on('disconnect', (reason) => fail(`a client lost its connection: ${reason}`))
  })
}

function check(answer) {
  if (!answer.success) throw new Error(JSON.stringify(answer))
}

function fail(message) {
  throw new Error(message)
}
