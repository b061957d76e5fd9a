import { connect, type Socket as NetSocket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { io, type Socket } from 'socket.io-client'
import type { Test } from 'tap'
import type { Clients } from '../../../core/plugin/capabilities.ts'
import type { Call, CodedError, Context, RouteRequest, RouteResponse, Target } from '../../../core/plugin/context.ts'
import type { CommandDefinition, Contract } from '../../../core/plugin/contract.ts'
import { connected, startTestHost, type TestClient, type TestHost, type TestHostOptions } from '../../../core/testing/host.ts'

/** What came over the wire, whatever it is; tests say what they expect of it. */
export type Heard = ReturnType<typeof JSON.parse>

interface LooseGroup {
  publish(event: string, payload?: unknown): void
  send(target: Target, event: string, payload?: unknown): void
  handle(command: string, handler: (payload: Heard, call: Call) => unknown): void
}

/** A plugin's context as plain JavaScript has it: any event, command and code. */
export interface LooseContext
  extends LooseGroup,
    Pick<Context<Contract>, 'onSubscribe' | 'onDisconnect' | 'whileSubscribed' | 'own' | 'fail' | 'settings' | 'diagnose'> {
  readonly clients: Clients
  serve(route: string, handler: (request: RouteRequest) => RouteResponse | Promise<RouteResponse>): void
  namespace(name: string): LooseGroup
  provide(event: string, value: () => unknown): void
  error(code: string, message?: string, extra?: object): CodedError
  publishError(code: string, message?: string, details?: unknown, target?: Target): void
}

export interface LabPlugin {
  readonly contract: Contract
  readonly start: (context: LooseContext) => unknown
}

const starts = new Map<string, LabPlugin['start']>()
Object.assign(globalThis, { labStarts: starts })

/** A host with third parties' plugins in plain JavaScript, each a package on disk that runs the `start` given here. */
export async function startLab(t: Test, plugins: readonly LabPlugin[], options: TestHostOptions = {}): Promise<TestHost> {
  const packages = plugins.map(({ contract, start }) => {
    const key = `${starts.size}:${contract.id}`
    starts.set(key, start)
    const patchbay = { api: 1, contract: './contract.json' }
    const manifest = { name: contract.id, version: '1.0.0', type: 'module', exports: './index.js', patchbay }
    const code = `import { readFileSync } from 'node:fs'
import { definePlugin } from 'patchbay/plugin'
const contract = JSON.parse(readFileSync(new URL('./contract.json', import.meta.url), 'utf8'))
export default definePlugin(contract, { start: (context) => globalThis.labStarts.get(${JSON.stringify(key)})(context) })
`
    const files = { 'package.json': JSON.stringify(manifest), 'contract.json': JSON.stringify(contract), 'index.js': code }
    return [contract.id, files] as const
  })
  const dir = t.testdir(Object.fromEntries(packages))
  const host = await startTestHost({ runIn: 'host', ...options, plugins: plugins.map(({ contract }) => `${dir}/${contract.id}`) })
  t.teardown(() => host.stop())
  for (const id of ['host', ...plugins.map(({ contract }) => contract.id)]) {
    const { state, reason } = await host.reached(id, 'running', 'failed')
    if (state === 'failed') throw new Error(reason)
  }
  return host
}

/** A command for everybody, as often as a test wants. */
export const command = (more: CommandDefinition = {}): CommandDefinition => ({
  role: 'viewer',
  rate: { max: 10_000, windowMs: 1000 },
  ...more,
})

/** A socket that is not awaited. */
export function dial(t: Test, { host }: TestHost, auth: object | undefined, options: object = {}, namespace = '/'): Socket {
  const socket = io(`${host.url}${namespace}`, {
    ...(auth && { auth }),
    transports: ['websocket'],
    forceNew: true,
    reconnection: false,
    ...options,
  })
  t.teardown(() => socket.close())
  return socket
}

/** A socket that is let in. */
export function join(t: Test, host: TestHost, auth: object, options: object = {}, namespace = '/'): Promise<TestClient> {
  return connected(dial(t, host, auth, options, namespace))
}

/** What the door says to these credentials. */
export async function refusal(
  t: Test,
  host: TestHost,
  auth: object | undefined,
  options: object = {},
  namespace = '/',
): Promise<Heard> {
  const socket = dial(t, host, auth, options, namespace)
  return await new Promise((resolve, reject) => {
    socket.once('connect_error', (error) => {
      socket.close()
      resolve(error)
    })
    socket.once('connect', () => reject(new Error('was let in')))
  })
}

/** Resolves with the arguments of the next `event`. */
export function once(socket: Pick<Socket, 'once'>, event: string): Promise<Heard[]> {
  return new Promise((resolve) => socket.once(event, (...args: Heard[]) => resolve(args)))
}

/** All that a client hears, in order, acks that are asked for with `ask` not among it. */
export function hear({ socket }: Pick<TestClient, 'socket'>): Array<[event: string, payload: Heard]> {
  const heard: Array<[string, Heard]> = []
  socket.onAny((event, payload) => heard.push([event, payload]))
  return heard
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes in use once all garbage is collected; what is closed takes some turns to become garbage. */
export async function memory(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    collectGarbage()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Resolves once it is so. */
export async function until(isSo: () => unknown, what = 'it did not come to pass', ms = 8000): Promise<void> {
  const end = Date.now() + ms
  while (!isSo()) {
    if (Date.now() > end) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const upgrade = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  '',
  '',
].join('\r\n')

/** An Engine.IO connection by hand: it says whatever it is told, answers no ping, and leaves when it is asked to. */
export class RawSocket {
  isOpen = true
  readonly tcp: NetSocket
  readonly closed: Promise<void>
  /** Text messages of the server that fit into a single read. */
  readonly heard: string[] = []

  private constructor(url: string) {
    const { port, hostname, host } = new URL(url)
    this.tcp = connect(Number(port), hostname)
    this.closed = new Promise((resolve) =>
      this.tcp.once('close', () => {
        this.isOpen = false
        resolve()
      }),
    )
    this.tcp.on('error', () => {}) // that it closes is what tests wait for
    this.tcp.write(`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: ${host}\r\n${upgrade}`)
  }

  static async open(t: Test, url: string): Promise<RawSocket> {
    const socket = new RawSocket(url)
    t.teardown(() => socket.tcp.destroy())
    await once(socket.tcp as unknown as Socket, 'data')
    socket.tcp.on('data', (chunk) => socket.#read(chunk))
    return socket
  }

  /** A text frame, or with `opcode` another. */
  send(content: string | Buffer, opcode = 1): void {
    const bytes = Buffer.from(content)
    const { length } = bytes
    const header = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14)
    header[0] = 0x80 | opcode
    header[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
    if (length >= 65_536) header.writeBigUInt64BE(BigInt(length), 2)
    else if (length >= 126) header.writeUInt16BE(length, 2)
    this.tcp.write(Buffer.concat([header, bytes])) // the mask is zero
  }

  /** Resolves with the first text that fits. */
  async hears(pattern: RegExp): Promise<string> {
    await until(() => this.heard.some((text) => pattern.test(text)), `did not hear ${pattern}`)
    return this.heard.find((text) => pattern.test(text)) as string
  }

  /** Logs in, and subscribes to nothing. */
  static async login(t: Test, host: TestHost, id: number): Promise<RawSocket> {
    const socket = await RawSocket.open(t, host.url)
    socket.send(`40${JSON.stringify({ initData: host.initData(id) })}`)
    await socket.hears(/^42\["auth:success"/)
    return socket
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at + 2 <= chunk.length; ) {
      const short = (chunk[at + 1] as number) & 0x7f
      const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
      if (start > chunk.length) return
      const length = short < 126 ? short : short === 126 ? chunk.readUInt16BE(at + 2) : Number(chunk.readBigUInt64BE(at + 2))
      if (chunk[at] === 0x81) this.heard.push(chunk.toString('utf8', start, start + length))
      else if (chunk[at] === 0x88) this.tcp.end()
      at = start + length
    }
  }
}
