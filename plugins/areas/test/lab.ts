import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import type { Test } from 'tap'
import { startTestHost, type TestHost } from '../../../core/testing/host.ts'

type Json = Record<string, unknown>

/** An event, as a client heard it. */
export interface Heard {
  readonly event: string
  readonly data: Json
}

export interface Answer extends Json {
  readonly status: number
  readonly code?: string
  readonly area?: Json & { id: string }
  readonly client?: Json & { id: string; areaIds: string[] }
}

/** A client of the areas, which writes down what it hears. */
export interface Listener {
  readonly socket: Socket
  readonly heard: Heard[]
  /** Resolves with the next event of this name that nobody has taken yet. */
  next(event: string): Promise<Json>
  /** What it has heard since it was last asked, as `event:areaId`, but for `connected`. */
  take(): string[]
  close(): void
}

const waitMs = 30_000
let lastAddress = 10

/** Ten connections a minute are let in from an address: each client of a test has one of its own. */
const freshAddress = (): string => {
  lastAddress++
  return `127.${(lastAddress >> 16) & 255}.${(lastAddress >> 8) & 255}.${lastAddress & 255}`
}

/** `acknowledge` says which events a listener acknowledges: all, none, or as it decides. */
export function listen(
  t: Test,
  url: string,
  auth: Json,
  options: Partial<ManagerOptions & SocketOptions> & { localAddress?: string; acknowledge?: (heard: Heard) => boolean } = {},
): Listener {
  const { acknowledge, ...more } = options
  const localAddress = freshAddress()
  const socket = io(url, {
    auth,
    transports: ['websocket'],
    forceNew: true,
    localAddress,
    reconnection: false,
    ...more,
  } as object)
  t.teardown(() => socket.close())
  const heard: Heard[] = []
  let taken = 0
  const waiting = new Set<() => void>()
  socket.onAny((event: string, data: Json, ack?: (value?: unknown) => void) => {
    const each = { event, data }
    heard.push(each)
    if (ack && acknowledge?.(each)) ack('ok')
    for (const look of waiting) look()
  })
  const used = new Set<Heard>()
  return {
    socket,
    heard,
    next: (event) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no ${event}; heard ${JSON.stringify(heard)}`)), waitMs)
        const look = () => {
          const found = heard.find((each) => each.event === event && !used.has(each))
          if (!found) return
          used.add(found)
          clearTimeout(late)
          waiting.delete(look)
          resolve(found.data)
        }
        waiting.add(look)
        look()
      }),
    take() {
      const fresh = heard.slice(taken)
      taken = heard.length
      return fresh.flatMap(({ event, data }) => (event === 'connected' ? [] : [`${event}:${String(data.areaId ?? '')}`]))
    },
    close: () => void socket.close(),
  }
}

/** Resolves with why a connection was refused. */
export const refusal = ({ socket }: Listener): Promise<Error & { data?: Json }> =>
  new Promise((resolve, reject) => {
    socket.once('connect_error', resolve)
    socket.once('connected', () => reject(new Error('it was let in')))
  })

export const gone = ({ socket }: Listener): Promise<string> => new Promise((resolve) => socket.once('disconnect', resolve))

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + waitMs; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`It did not come about: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export interface Lab {
  readonly host: TestHost
  /** Of the namespace. */
  readonly url: string
  /** Asks the API as the admin; `'PUT areas/area_1'`. */
  admin(request: string, body?: unknown): Promise<Answer>
  /** Asks it with any token, or none. */
  ask(token: string | undefined, request: string, body?: unknown): Promise<Answer>
  /** A client's token. */
  token(subject: string): Promise<string>
  /** A client that is connected, with these areas. */
  client(subject: string, areaIds?: readonly string[], auth?: Json, options?: Parameters<typeof listen>[3]): Promise<Listener>
}

export async function startAreas(t: Test, options: Partial<Parameters<typeof startTestHost>[0]> = {}): Promise<Lab> {
  const host = await startTestHost({ builtins: ['areas'], ...options })
  t.teardown(() => host.stop())
  await host.reached('areas', 'running')
  const url = `${host.url}${options.namespaces?.areas === '/' ? '' : '/areas'}`
  const adminToken = await host.token('areas', ['admin'], { subject: 'alice' })
  const ask = async (token: string | undefined, request: string, body?: unknown): Promise<Answer> => {
    const [method = '', path] = request.split(' ')
    const response = await fetch(`${url}/api/${path}`, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, ...(text.startsWith('{') ? (JSON.parse(text) as Json) : { text }) }
  }
  const admin = (request: string, body?: unknown) => ask(adminToken, request, body)
  const token = (subject: string) => host.token('areas', ['client'], { subject })
  return {
    host,
    url,
    admin,
    ask,
    token,
    async client(subject, areaIds = [], auth = {}, more = {}) {
      const listener = listen(t, url, { token: await token(subject), ...auth }, more)
      await listener.next('connected')
      if (areaIds.length > 0) {
        await admin(`PUT clients/${subject}/areas`, { areaIds })
        for (const _ of areaIds) await listener.next('area_added')
        listener.take()
      }
      return listener
    },
  }
}
