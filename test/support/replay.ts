// A service of the system bus as it was recorded in the lab (test/lab/record.ts), for tests without the lab.
import type { Message, MessageBus } from 'dbus-native'
import type { PrivateBus } from './bus.ts'

/** A message's body, as `busctl --json` has it. */
export interface Payload {
  readonly type: string
  readonly data: readonly unknown[]
}

type Reply<Of extends string> =
  | ({ readonly [of in Of]: number } & { readonly payload: Payload | null })
  | ({ readonly [of in Of]: number } & { readonly error: string; readonly message: string })

/**
 * One message between a plugin and a service. `of` is the call of the plugin's that the service replies to, by its place in the
 * exchange; `to` the service's own call (`ask`) that the plugin replies to. `args` are there where they matter.
 */
export type Said =
  | { readonly call: string; readonly path: string; readonly args?: readonly unknown[] }
  | Reply<'of'>
  | { readonly signal: string; readonly path: string; readonly payload: Payload }
  | { readonly ask: string; readonly path: string; readonly payload: Payload }
  | Reply<'to'>

/** What a plugin did and was told for a while. */
export interface Recording {
  /** Of what, and when. */
  readonly of: string
  /** GetManagedObjects before it, and what else may be asked at any time, as `GetSettings` and a path: the reply. */
  readonly objects: Payload
  readonly standing?: Readonly<Record<string, Payload | null>>
  readonly exchange: readonly Said[]
}

/** The service as it was recorded: says the same in the same order, and waits for what it was asked and answered then. */
export class Replay {
  /** Calls that nobody made when it was recorded, and answers that nobody gave. */
  readonly unexpected: string[] = []
  readonly #recording: Recording
  readonly #client: MessageBus
  readonly #asked = new Map<number, Message>()
  readonly #answered = new Set<number>()
  #plugin = ''
  #at = 0

  static async start(bus: PrivateBus, service: string, recording: Recording): Promise<Replay> {
    const client = await bus.client({ plain: true })
    const replay = new Replay(client, recording)
    // the library would answer GetManagedObjects itself, from what it has been given to export
    const [library] = client.connection.listeners('message') as Array<(message: Message) => void>
    client.connection.removeAllListeners('message')
    client.connection.on('message', (message: Message) => (message.type === 1 ? replay.#answer(message) : library?.(message)))
    await client.ownName(service)
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
    const { path = '', member = '', sender = '', body: args = [] } = call
    const { objects, standing = {}, exchange } = this.#recording
    this.#plugin = sender
    const index = exchange.findIndex(
      (said, at) =>
        'call' in said &&
        said.call === member &&
        said.path === path &&
        (said.args === undefined || JSON.stringify(said.args) === JSON.stringify(args)) &&
        !this.#asked.has(at),
    )
    const always = member === 'GetManagedObjects' ? objects : standing[`${member} ${path}`]
    if (always !== undefined) this.#reply(call, always)
    else if (index === -1) {
      this.unexpected.push(`${member} of ${path}`)
      this.#client.sendError(call, 'org.freedesktop.DBus.Error.UnknownMethod', 'This was not recorded.')
    } else {
      this.#asked.set(index, call)
      this.#goOn()
    }
  }

  /** Says what was said, up to what is still to come from the plugin. */
  #goOn(): void {
    for (const said of this.#recording.exchange.slice(this.#at)) {
      if ('call' in said) {
        if (!this.#asked.has(this.#at)) return
      } else if ('to' in said) {
        if (!this.#answered.has(said.to)) return
      } else if ('ask' in said) {
        void this.#ask(said, this.#at)
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

  /** The plugin must answer as it did. */
  async #ask({ ask, path, payload }: Extract<Said, { ask: string }>, at: number): Promise<void> {
    const dot = ask.lastIndexOf('.')
    const about = { destination: this.#plugin, path, interface: ask.slice(0, dot), member: ask.slice(dot + 1) }
    const reply = await this.#client.invoke({ ...about, signature: payload.type, body: body(payload) }).then(
      (value) => JSON.stringify(value ?? null),
      ({ dbusName }: { dbusName?: string }) => dbusName,
    )
    const said = this.#recording.exchange.find((said): said is Extract<Said, { to: number }> => 'to' in said && said.to === at)
    const then = said && ('error' in said ? said.error : JSON.stringify(said.payload?.data[0] ?? null))
    if (said && reply !== then) this.unexpected.push(`${reply} and not ${then} to ${ask}`)
    this.#answered.add(at)
    this.#goOn()
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
    const named = (name: string) => ('so'.includes(key) ? name : toWire(key, Number(name)))
    return Object.entries(value as object).map(([name, one]) => [named(name), toWire(held, one)])
  }
  if (type.startsWith('a')) return (value as unknown[]).map((one) => toWire(type.slice(1), one))
  if (type.startsWith('(')) return types(type.slice(1, -1)).map((type, index) => toWire(type, (value as unknown[])[index]))
  return type === 'x' || type === 't' ? BigInt(value as number) : value
}
