import type { Message, MessageBus } from 'dbus-native'
import type { PrivateBus } from '../../../test/support/bus.ts'
import { nm } from './network-manager.ts'

/** A message's body, as `busctl --json` has it. */
export interface Payload {
  readonly type: string
  readonly data: readonly unknown[]
}

/** One message between the plugin and NetworkManager. `of` is the call that a reply belongs to, by its place in the exchange. */
export type Said =
  | { readonly call: string; readonly path: string }
  | { readonly of: number; readonly payload: Payload | null }
  | { readonly of: number; readonly error: string; readonly message: string }
  | { readonly signal: string; readonly path: string; readonly payload: Payload }

/** What the plugin did and was told while it carried out one command; test/lab/record.ts makes these. */
export interface Recording {
  /** By what, and when. */
  readonly of: string
  readonly command: 'scan' | 'connect' | 'disconnect' | 'forget'
  readonly payload: { readonly ssid: string; readonly password?: string; readonly hidden?: boolean }
  /** The code of the failure, or `done`. */
  readonly outcome: string
  /** GetManagedObjects before it, and GetSettings of each profile by its path. */
  readonly objects: Payload
  readonly settings: Readonly<Record<string, Payload>>
  readonly exchange: readonly Said[]
}

/** NetworkManager as it was recorded: says the same in the same order, and waits for what it was asked then. */
export class Replay {
  /** Calls that nobody made when it was recorded. */
  readonly unexpected: string[] = []
  readonly #recording: Recording
  readonly #client: MessageBus
  readonly #asked = new Map<number, Message>()
  #at = 0

  static async start(bus: PrivateBus, recording: Recording): Promise<Replay> {
    const client = await bus.client({ plain: true })
    const replay = new Replay(client, recording)
    // the library would answer GetManagedObjects itself, from what it has been given to export
    const [library] = client.connection.listeners('message') as Array<(message: Message) => void>
    client.connection.removeAllListeners('message')
    client.connection.on('message', (message: Message) => (message.type === 1 ? replay.#answer(message) : library?.(message)))
    await client.ownName(nm)
    return replay
  }

  private constructor(client: MessageBus, recording: Recording) {
    this.#client = client
    this.#recording = recording
  }

  /** What was recorded and has not been said, because nobody asked. */
  get left(): readonly Said[] {
    return this.#recording.exchange.slice(this.#at)
  }

  stop(): Promise<void> {
    return this.#client.close()
  }

  #answer(call: Message): void {
    const { path = '', member = '' } = call
    const { objects, settings, exchange } = this.#recording
    const standing = member === 'GetManagedObjects' ? objects : member === 'GetSettings' ? settings[path] : undefined
    const index = exchange.findIndex(
      (said, at) => 'call' in said && said.call === member && said.path === path && !this.#asked.has(at),
    )
    if (standing) this.#reply(call, standing)
    else if (index === -1) {
      this.unexpected.push(`${member} of ${path}`)
      this.#client.sendError(call, 'org.freedesktop.DBus.Error.UnknownMethod', 'This was not recorded.')
    } else {
      this.#asked.set(index, call)
      this.#goOn()
    }
  }

  /** Says what was said, up to the next call that is still to come. */
  #goOn(): void {
    for (const said of this.#recording.exchange.slice(this.#at)) {
      if ('call' in said) {
        if (!this.#asked.has(this.#at)) return
      } else if ('signal' in said) {
        const { path, signal, payload } = said
        const dot = signal.lastIndexOf('.')
        this.#client.sendSignal(path, signal.slice(0, dot), signal.slice(dot + 1), payload.type, body(payload))
      } else {
        const call = this.#asked.get(said.of) as Message
        if ('error' in said) this.#client.sendError(call, said.error, said.message)
        else this.#reply(call, said.payload)
      }
      this.#at++
    }
  }

  #reply(call: Message, payload: Payload | null): void {
    this.#client.sendReply(call, payload?.type ?? '', payload ? body(payload) : [])
  }
}

const body = ({ type, data }: Payload) => types(type).map((type, index) => toWire(type, data[index]))

/** The complete types of a signature. */
function types(signature: string): string[] {
  const found: string[] = []
  for (let at = 0; at < signature.length; ) {
    const end = endOf(signature, at)
    found.push(signature.slice(at, end))
    at = end
  }
  return found
}

function endOf(signature: string, at: number): number {
  const letter = signature[at]
  if (letter === 'a') return endOf(signature, at + 1)
  if (letter !== '(' && letter !== '{') return at + 1
  let end = at + 1
  while (signature[end] !== ')' && signature[end] !== '}') end = endOf(signature, end)
  return end + 1
}

/** A value of `busctl --json` as the bus's library takes it. */
function toWire(type: string, value: unknown): unknown {
  if (type === 'v') {
    const { type: inner, data } = value as { type: string; data: unknown }
    return [inner, toWire(inner, data)]
  }
  if (type === 'ay') return Buffer.from(value as number[])
  if (type.startsWith('a{')) {
    const [key, held] = types(type.slice(2, -1)) as [string, string]
    return Object.entries(value as object).map(([name, one]) => [toWire(key, name), toWire(held, one)])
  }
  if (type.startsWith('a')) return (value as unknown[]).map((one) => toWire(type.slice(1), one))
  if (type.startsWith('(')) return types(type.slice(1, -1)).map((type, index) => toWire(type, (value as unknown[])[index]))
  return type === 'x' || type === 't' ? BigInt(value as number) : value
}
