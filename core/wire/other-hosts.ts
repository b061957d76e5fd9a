import type { Namespace, Server } from 'socket.io'
import type { Log } from '../plugin/context.ts'
import { StartError } from '../start-error.ts'

const name = 'patchbay'
const most = { queue: 10_000, waitMs: 5000, blockMs: 2000, kept: 10_000 }
/** Of Socket.IO's adapters for several servers, and of its packets. */
const [broadcast, disconnect, eventPacket] = [3, 6, 2]

type Adapter = { publish?(message: object): void }

/**
 * Connects a server with others by Redis, before it has namespaces with clients. What is said on one of them reaches the others through a
 * stream: nothing is lost while a connection is down for a while. Rejects with a StartError. Resolves with what ends it.
 */
export async function joinOtherHosts(io: Server, url: string, log: Log): Promise<() => Promise<void>> {
  const [{ createClient }, { createAdapter }] = [await import('@redis/client'), await import('@socket.io/redis-streams-adapter')]
  // What waits for a Redis that is away is bounded; what is beyond that is lost to the other hosts, and to nobody here.
  let isOver = false
  const reconnectStrategy = (tries: number) => (isOver ? new Error('it has ended') : Math.min(tries * 100, 2000))
  const client = createClient({ url, commandsQueueMaxLength: most.queue, socket: { reconnectStrategy } })
  const ends = [letGo(client)]
  const duplicate = client.duplicate.bind(client)
  // The adapter would keep its own connections for as long as a read lasts, and fail on ending one that is closed.
  client.duplicate = () => {
    const copy = duplicate()
    const end = letGo(copy)
    ends.push(end)
    return Object.assign(copy, { disconnect: end })
  }
  const leave = async () => {
    isOver = true
    // First these: they would try again without a pause to read from what is closed.
    for (const { adapter } of io._nsps.values()) await adapter.close()
    await Promise.all(ends.map((end) => end()))
  }
  let isAway = false
  let lastError: unknown
  client.on('error', (error) => {
    lastError = error
    if (!isAway) log.warn({ err: error }, 'Redis is away; other hosts are not reached until it is back')
    isAway = true
  })
  client.on('ready', () => {
    if (isAway) log.info({}, 'Redis is there again')
    isAway = false
  })
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(lastError ?? new Error('no answer')), most.waitMs).unref()
  })
  try {
    await Promise.race([client.connect(), late])
  } catch (error) {
    await leave()
    throw new StartError(`Redis (PATCHBAY_REDIS_URL) cannot be reached: ${(error as Error).message}.`, 69)
  }
  const adapterOf = createAdapter(client, { streamName: name, channelPrefix: name, blockTimeInMs: most.blockMs })
  const TRIM = { strategy: 'MAXLEN', strategyModifier: '~', threshold: most.kept } as const
  function Adapter(namespace: Namespace) {
    const adapter = adapterOf(namespace)
    // What it would not put into the stream is lost on whoever is away at that moment.
    adapter.doPublish = (message) => client.xAdd(name, '*', adapter['encode'](message), { TRIM })
    return adapter
  }
  io.adapter(Adapter as never)
  return leave
}

/** What ends a connection, whatever state it is in. */
function letGo(client: { disconnect(): Promise<void> }): () => Promise<void> {
  const disconnect = client.disconnect.bind(client)
  return async () => {
    try {
      await disconnect()
    } catch {
      // It was closed, or is just looking for its server: it will not find it any more.
    }
  }
}

export const hasOthers = ({ adapter }: Namespace): boolean => 'publish' in adapter

/** Says something to this namespace itself on the other hosts, if there are any. */
export function tellOthers(namespace: Namespace, event: string, ...values: unknown[]): void {
  if (hasOthers(namespace)) namespace.serverSideEmit(event, ...values)
}

/** Sends an event to a room of this namespace on the other hosts, if there are any. */
export function sendElsewhere({ adapter }: Namespace, room: string, event: string, values: readonly unknown[]): void {
  const packet = { type: eventPacket, data: [event, ...values] }
  ;(adapter as Adapter).publish?.({ type: broadcast, data: { packet, opts: { rooms: [room], except: [], flags: {} } } })
}

/** Closes those in a room of this namespace on the other hosts. */
export function disconnectElsewhere({ adapter }: Namespace, room: string): void {
  const opts = { rooms: [room], except: [], flags: {} }
  ;(adapter as Adapter).publish?.({ type: disconnect, data: { opts, close: false } })
}
