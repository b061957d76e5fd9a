import { readdir } from 'node:fs/promises'
import { io } from 'socket.io-client'
import t from 'tap'
import { connected, type TestHost } from '../../core/testing/host.ts'
import { memory } from '../core/wire/lab.ts'
import { Siege } from './lab.ts'

t.setTimeout(600_000)

const cycles = 10_000
/** So many that nobody logs in more often than a user may. */
const users = 50
const atOnce = 10
/** How often the hostile plugin is killed meanwhile. */
const crashes = 8

/** Bytes in use, but for the log that the lab keeps; open descriptors; what keeps the event loop going. */
const figures = async (host: TestHost) => ({
  memory: (await memory()) - host.log.reduce((sum, line) => sum + line.length + 32, 0),
  descriptors: (await readdir('/proc/self/fd')).length,
  resources: process.getActiveResourcesInfo().length,
})

void t.test('ten thousand connections that subscribe and leave, while it crashes, leave nothing behind', async (t) => {
  const siege = await Siege.start(t)
  const { host } = siege
  const tokens = new Map<number, string>()
  const wrong: string[] = []

  const cycle = async (nth: number, user: number) => {
    const sessionToken = tokens.get(user)
    const auth = sessionToken ? { sessionToken } : { initData: host.initData(user) }
    const socket = io(host.url, { auth, transports: ['websocket'], forceNew: true, reconnection: false })
    const client = await connected(socket)
    tokens.set(user, client.sessionToken)
    const module = ['hostile', 'near', 'far'][nth % 3] as string
    const answer = await client.ask('module:subscribe', { module })
    if (!answer.success) wrong.push(JSON.stringify(answer))
    if (nth % 4 === 0) await client.ask('module:unsubscribe', { module })
    socket.close()
  }
  /** Each user in turn, `atOnce` of them at a time. */
  const go = async (count: number) => {
    let next = 0
    const work = async (lane: number) => {
      for (let own = lane; next < count; own = (own + atOnce) % users) await cycle(next++, 10_000 + own)
    }
    await Promise.all(Array.from({ length: atOnce }, (_, lane) => work(lane)))
  }

  for (let user = 0; user < users; user++) await host.allow(10_000 + user, 'viewer')
  // As long as a session has room for another token, it grows.
  await go(users * 50)
  const before = await figures(host)
  for (let round = 0; round < crashes; round++) {
    const crash = siege.breaks(t, 'signalItself', { signal: 'SIGKILL' }, /SIGKILL/)
    await go(cycles / crashes)
    await crash
  }
  await siege.flows()
  t.same(wrong, [])
  for (const id of ['hostile', 'near', 'far']) t.equal(host.subscribers(id), 1, `one client of ${id} is left: the lab's own`)
  const after = await figures(host)
  const grown = `${JSON.stringify(before)} before, ${JSON.stringify(after)} after`
  t.ok(after.memory - before.memory < 4 * 1024 * 1024, grown)
  t.ok(after.descriptors - before.descriptors < 8, grown)
  t.ok(after.resources - before.resources < 8, grown)
  t.comment(grown)
  await siege.withstood(t)
})
