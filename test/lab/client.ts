// A stock socket.io-client, outside the lab machine, that remembers what it has heard.
import { EventEmitter, once } from 'node:events'
import { io, type Socket } from 'socket.io-client'
import { signedInitData } from '../../core/testing/init-data.ts'
import { botToken } from './patchbay.ts'

export interface Answer {
  readonly success: boolean
  readonly code?: string
  readonly error?: string
  readonly [field: string]: unknown
}

/** For what the machine, emulated and with a loaded one below it, may take beyond Patchbay's own deadlines. */
const patienceMs = 180_000

export class LabClient {
  readonly socket: Socket
  /** Each event with its value. */
  readonly heard: Array<readonly [event: string, value: unknown]> = []
  readonly #ear = new EventEmitter()

  /** As the Telegram user of this id; resolves when it is let in. It reconnects by itself, as a stock client does, and goes on with its session. */
  static async connect(t: { teardown(end: () => void): void }, port: number, user: number): Promise<LabClient> {
    let sessionToken: string | undefined
    const auth = (give: (data: object) => void) =>
      give(sessionToken ? { sessionToken } : { initData: signedInitData(botToken, user) })
    const client = new LabClient(io(`http://127.0.0.1:${port}`, { auth, transports: ['websocket'], forceNew: true }))
    t.teardown(() => client.socket.close())
    client.socket.on('auth:success', (greeting: { sessionToken: string }) => {
      sessionToken = greeting.sessionToken
    })
    await client.next('auth:success')
    return client
  }

  private constructor(socket: Socket) {
    this.socket = socket.onAny((event: string, value: unknown) => {
      this.heard.push([event, value])
      this.#ear.emit('heard')
    })
  }

  async ask(command: string, payload?: unknown): Promise<Answer> {
    const answer = (await this.socket
      .timeout(patienceMs)
      .emitWithAck(command, ...(payload === undefined ? [] : [payload]))) as Answer
    this.heard.push([`answer to ${command}`, answer])
    return answer
  }

  /** The next value of an event, of those that fit. */
  async next<T>(event: string, fits: (value: T) => boolean = () => true, from = this.heard.length): Promise<T> {
    const signal = AbortSignal.timeout(patienceMs)
    for (let at = from; ; ) {
      for (; at < this.heard.length; at++) {
        const [name, value] = this.heard[at] as readonly [string, T]
        if (name === event && fits(value)) return value
      }
      await once(this.#ear, 'heard', { signal }).catch(() => {
        throw new Error(`No ${event} that fits within ${patienceMs} ms; the last ones: ${this.#last(event)}`)
      })
    }
  }

  /** The value of an event as it is now, as soon as that fits. */
  now<T>(event: string, fits: (value: T) => boolean = () => true): Promise<T> {
    return this.next(
      event,
      fits,
      Math.max(
        0,
        this.heard.findLastIndex(([name]) => name === event),
      ),
    )
  }

  #last(event: string): string {
    return JSON.stringify(this.heard.filter(([name]) => name === event).slice(-3))
  }
}
