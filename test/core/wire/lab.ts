import { io, type Socket } from 'socket.io-client'
import type { Test } from 'tap'
import type { Call, CodedError, Context, Target } from '../../../core/plugin/context.ts'
import type { CommandDefinition, Contract } from '../../../core/plugin/contract.ts'
import { connected, startTestHost, type TestClient, type TestHost, type TestHostOptions } from '../../../core/testing/host.ts'

/** Text from the wire; tests say what they expect of it. */
// biome-ignore lint/suspicious/noExplicitAny: it is whatever came
export type Heard = any

interface LooseGroup {
  publish(event: string, payload?: unknown): void
  send(target: Target, event: string, payload?: unknown): void
  handle(command: string, handler: (payload: Heard, call: Call) => unknown): void
}

/** A plugin's context as plain JavaScript has it: any event, command and code. */
export interface LooseContext
  extends LooseGroup,
    Pick<Context<Contract>, 'onSubscribe' | 'whileSubscribed' | 'own' | 'fail' | 'settings'> {
  namespace(name: string): LooseGroup
  provide(event: string, value: () => unknown): void
  error(code: string, message?: string, extra?: object): CodedError
  publishError(code: string, message?: string, details?: unknown): void
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
  const host = await startTestHost({ ...options, plugins: plugins.map(({ contract }) => `${dir}/${contract.id}`) })
  t.teardown(() => host.stop())
  for (const { contract } of plugins) {
    const { state, reason } = await host.reached(contract.id, 'running', 'failed')
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

/** Resolves once it is so. */
export async function until(isSo: () => unknown, what = 'it did not come to pass', ms = 8000): Promise<void> {
  const end = Date.now() + ms
  while (!isSo()) {
    if (Date.now() > end) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
