// The clients of the benches: stock ones, all in this process.
import { io } from 'socket.io-client'
import { serve } from './remote.mjs'

const groups = new Map()

serve({
  /**
   * Connects a group of clients, one for each `auth`, and subscribes them to `module` if there is one. Any failure they hear of ends
   * the bench, unless they `mayFail`.
   */
  async connect(name, { url, auths, module, mayFail, hasOwnAddresses }) {
    const sockets = []
    groups.set(name, sockets)
    for (let index = 0; index < auths.length; index += 50)
      sockets.push(
        ...(await Promise.all(
          auths.slice(index, index + 50).map((auth, i) => connected(url, auth, mayFail, hasOwnAddresses && addressOf(index + i))),
        )),
      )
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

  /** Makes an area of the plugin areas, and assigns it. */
  async assign({ url, admin, area, clients }) {
    await request(url, admin, 'POST', 'areas', { id: area, name: area })
    for (let at = 0; at < clients.length; at += 4)
      await Promise.all(clients.slice(at, at + 4).map((client) => request(url, admin, 'PUT', `clients/${client}/areas/${area}`)))
  },

  /**
   * Updates an area so often: milliseconds from the request to the event at each client that has it, and how many events came to others.
   * `flood` is an address that connects meanwhile as fast as it can.
   */
  async updates(name, { url, admin, area, times, holders, flood }) {
    const sockets = groups.get(name)
    const trips = []
    let [heard, done, begun, strays] = [0, () => {}, 0, 0]
    const listen = () => {
      trips.push(performance.now() - begun)
      if (++heard === holders) done()
    }
    sockets.forEach((socket, index) => {
      if (index % (sockets.length / holders) === 0) socket.on('area_updated', listen)
      else socket.on('area_updated', () => strays++)
    })
    let [isOver, attempts, admitted] = [false, 0, 0]
    const floods = Array.from({ length: flood ? 8 : 0 }, async () => {
      while (!isOver) {
        attempts++
        const socket = await connected(url, { token: flood.token }, true, flood.address).catch(() => undefined)
        if (socket) admitted++
        socket?.close()
      }
    })
    const started = performance.now()
    for (let time = 0; time < times; time++) {
      heard = 0
      const all = new Promise((resolve) => {
        done = resolve
      })
      begun = performance.now()
      await request(url, admin, 'PUT', `areas/${area}`, { name: `${area} ${time}` })
      await all
      // The admin too may do only so much in ten seconds.
      await new Promise((resolve) => setTimeout(resolve, 40))
    }
    const seconds = (performance.now() - started) / 1000
    isOver = true
    await Promise.all(floods)
    for (const socket of sockets) socket.off('area_updated')
    trips.sort((a, b) => a - b)
    return { median: trips[trips.length >> 1], p99: trips[Math.floor(trips.length * 0.99)], strays, attempts, admitted, seconds }
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

/** Of loopback: an address for each. */
const addressOf = (index) => `127.1.${Math.floor(index / 250)}.${(index % 250) + 1}`

async function request(url, token, method, path, body) {
  const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) }
  const response = await fetch(`${url}/api/${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
  const answer = await response.json()
  if (!response.ok) throw new Error(JSON.stringify(answer))
  return answer
}

function connected(url, auth, mayFail, localAddress) {
  return new Promise((resolve, reject) => {
    const options = { auth, transports: ['websocket'], forceNew: true, reconnection: false }
    const socket = io(url, { ...options, ...(localAddress && { localAddress }) })
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
