import { execFile } from 'node:child_process'
import { createHmac, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { lineOf, path, prepare, serverOf, start, startBare, startClients, stop, userIds } from './processes.mjs'
import { absolute } from './table.mjs'
import '../strip-types.mjs'

const cli = path('../../dist/cli.js')
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** Every 20th of them has the area. */
const holders = 50

/** Bytes that the plugin has for a client that is connected and has had all its events. */
async function bookkeeping(count = 10_000) {
  const { Delivery } = await import('../../plugins/areas/delivery.ts')
  setFlagsFromString('--expose-gc')
  const heap = () => {
    runInNewContext('gc')()
    return process.memoryUsage().heapUsed
  }
  const repository = { eventsAfter: async () => [], saveDelivered: async () => undefined }
  const delivery = new Delivery({ repository, retryMs: 5000, send() {}, ask: async () => undefined, close() {}, onError() {} })
  const before = heap()
  for (let i = 0; i < count; i++) delivery.add(`client_${i}`, `socket_${i}`, { acknowledge: false, bulk: false, seq: 0 })
  await new Promise((resolve) => setTimeout(resolve, 100))
  const bytes = (heap() - before) / count
  await delivery.close()
  return bytes
}

/** 1,000 clients from 1,000 addresses; an area that 50 of them have is updated. */
export async function areas({ quick }) {
  const env = await prepare(['areas'])
  const child = start([cli, 'start'], env)
  const server = serverOf(child, await lineOf(child, /"url":"([^"]+)".*"is ready"/))
  const role = async (name) =>
    (
      await promisify(execFile)(
        process.execPath,
        [cli, 'token', 'areas', '--role', name, '--subject', name, '--lifetime', '1d'],
        { env },
      )
    ).stdout.trim()
  const admin = await role('admin')
  const key = (await readFile(join(env.PATCHBAY_DATA_DIR, 'jwt/areas/key'), 'utf8')).trim()
  const now = Math.floor(Date.now() / 1000)
  const tokenOf = (sub) => {
    const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iss: 'patchbay', aud: 'areas', sub, jti: randomUUID(), role: 'client', iat: now, exp: now + 86_400 })}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const auths = userIds.map((id) => ({ token: tokenOf(`client_${id}`) }))
  const clients = await startClients()

  const bare = await startBare()
  const bareBefore = await bare.ask('heap')
  await clients.connect('bare', { url: bare.url, auths })
  const bareEach = ((await bare.ask('heap')) - bareBefore) / auths.length
  await clients.close('bare')
  await stop(bare.child)

  const url = `${server.url}/areas`
  const before = await server.ask('heap')
  await clients.connect('areas', { url, auths, hasOwnAddresses: true })
  const each = ((await server.ask('heap')) - before) / auths.length
  await clients.assign({
    url,
    admin,
    area: 'kitchen',
    clients: userIds.filter((_, index) => index % (userIds.length / holders) === 0).map((id) => `client_${id}`),
  })

  const times = quick ? 20 : 300
  const quiet = await clients.updates('areas', { url, admin, area: 'kitchen', times, holders })
  const flooded = await clients.updates('areas', {
    url,
    admin,
    area: 'kitchen',
    times,
    holders,
    flood: { token: auths[0].token, address: '127.200.0.1' },
  })
  await clients.close('areas')
  await stop(child)
  return [
    absolute(
      `an area that ${holders} of 1,000 clients have is updated: from the request to the event, median`,
      'ms',
      quiet.median,
    ),
    absolute('the same: 99th percentile', 'ms', quiet.p99),
    absolute(
      `the same beside a flood of ${Math.round(flooded.attempts / flooded.seconds)} connections a second from one address (${flooded.admitted} let in): 99th percentile`,
      'ms',
      flooded.p99,
    ),
    absolute('events that came to clients without the area', '', quiet.strays + flooded.strays, 1),
    absolute('memory of a connected client, in the heap', 'kB', each / 1000, undefined, bareEach / 1000),
    absolute('of that what the plugin itself keeps', 'kB', (await bookkeeping()) / 1000, 1),
  ]
}
