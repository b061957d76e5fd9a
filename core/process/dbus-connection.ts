import { Socket } from 'node:net'
import type { Message } from 'dbus-native'

const signalType = 4
/** Of a D-Bus error, by the specification. */
const errorName = /^(?=.{1,255}$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$/

/** A signal, or a call of something that is served here. Values are as `DBus` tells. */
export interface Incoming {
  /** Unique name; the bus vouches for it. */
  readonly sender: string
  readonly path: string
  readonly interface: string
  readonly member: string
  /** Of `args`. */
  readonly signature: string
  readonly args: readonly unknown[]
}

export interface Outgoing {
  readonly destination: string
  readonly path: string
  readonly interface: string
  readonly member: string
  readonly signature?: string
  readonly body?: unknown[]
}

/** One connection to a bus. */
export interface Connection {
  /** By which name others know it, such as `:1.42`. */
  readonly name: string
  /** `answer` is called once, in the order in which messages arrive: no signal overtakes it. Throws if the arguments do not fit. */
  call(message: Outgoing, signal: AbortSignal | undefined, answer: (error: Error | null, ...values: unknown[]) => void): void
  addMatch(rule: string): void
  removeMatch(rule: string): void
  /** Answers calls of one method. What is thrown becomes the error of its `dbusName`. */
  handle(path: string, iface: string, member: string, out: string, handler: (call: Incoming) => Promise<unknown>): () => void
  close(): void
}

export function busError(name: string, message: string): Error & { dbusName: string } {
  return Object.assign(new Error(message), { dbusName: `org.freedesktop.DBus.Error.${name}` })
}

/**
 * Resolves when the bus has accepted us. Everything that Patchbay knows of the library behind it is in this file. The library's own
 * greeting (hence `direct`) throws where nobody can catch it.
 */
export async function connect(
  busAddress: string,
  listener: { onSignal(signal: Incoming): void; onClose(): void },
): Promise<Connection> {
  const { createClient } = await import('dbus-native')
  const shapes = { plainValues: true, variants: 'plain', returnBigInt: true } as const
  const client = createClient({ busAddress, direct: true, authMethods: ['EXTERNAL'], ...shapes })
  const { stream } = client.connection
  if (stream instanceof Socket) stream.unref()
  client.connection.on('error', (error: Error) => void stream.destroy(error))
  // a message from anyone on the bus that the library stumbles over; without a listener it would end the process
  client.connection.on('handlerError', () => undefined)
  try {
    client.name = await client.invokeDbus<string>({ member: 'Hello' }, { timeout: 10_000 })
  } catch (error) {
    stream.destroy()
    const { code, message } = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw busError('Disconnected', `The system bus cannot be reached (${code ?? message}).`)
  }
  client.connection.on('close', listener.onClose)
  client.connection.on('message', (message: Message) => message.type === signalType && listener.onSignal(incoming(message)))
  return {
    name: client.name,
    call: (message, signal, answer) => void client.invoke({ ...message }, signal ? { signal } : {}, answer),
    addMatch: (rule) => void client.addMatch(rule),
    removeMatch: (rule) => void client.removeMatch(rule),
    handle(path, iface, member, out, handler) {
      const answer = async (...given: unknown[]) => {
        const told = await handler(incoming(given.at(-1) as Message)).then((value) => (out === '' ? null : value), refusal)
        // nobody is there any more to be answered, and the library would complain on the terminal
        if (stream.destroyed) return new Promise(() => undefined)
        if (told instanceof Error) throw told
        return told
      }
      client.setMethodCallHandler(path, iface, member, [answer, out])
      const { methodCallHandlers } = client as unknown as { methodCallHandlers: Record<string, unknown> }
      return () => void delete methodCallHandlers[client.mangle(path, iface, member)]
    },
    close: () => void stream.destroy(),
  }
}

function incoming({ sender = '', path = '', interface: iface = '', member = '', signature = '', body = [] }: Message): Incoming {
  return { sender, path, interface: iface, member, signature, args: body }
}

/** What a caller on the bus hears of an error: its name and sentence if it has a proper name, else that it failed. */
function refusal(error: unknown): Error {
  const { dbusName, message } = (error ?? {}) as Partial<ReturnType<typeof busError>>
  if (dbusName === undefined || !errorName.test(dbusName)) return busError('Failed', 'It failed.')
  return Object.assign(new Error(String(message).replaceAll('\0', '')), { dbusName })
}
