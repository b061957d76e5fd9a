import type { Log } from '../plugin/context.ts'
import { Channel, type Message } from './channel.ts'
import type { Launched } from './launch.ts'
import { readLines } from './read-lines.ts'
import type { ProcessFigures } from './running.ts'

/** Milliseconds: how often it is looked whether it gave a sign of life. */
const lookMs = 1000
/** Milliseconds between the end of the channel and that of a process that ends by itself. */
const partingMs = 1000
const longestLine = 8192
/** V8 has several words for it: `FATAL ERROR: Reached heap limit`, `# Fatal JavaScript out of memory`, `# Fatal process out of memory`. */
const heapIsFull = /(FATAL ERROR|# Fatal \w+).*(heap limit|out of memory)/

export interface PluginProcessParts {
  readonly launched: Launched
  readonly memoryMb: number
  /** Without a sign of life for so long it is ended. */
  readonly silenceMs: number
  /** The plugin's own. */
  readonly log: Log
  onMessage(message: Message): void
  /** It has ended, for this reason. */
  onEnd(reason: string): void
}

/** The process of a plugin: what passes to and fro, what it costs, and whether it lives. */
export class PluginProcess {
  readonly #parts: PluginProcessParts
  readonly #channel: Channel
  /** Why it was ended, or what it said before. */
  #reason: string | undefined
  /** Runs while it should be ending by itself. */
  #parting: NodeJS.Timeout | undefined
  #loopDelayMs = 0
  #heardAt = performance.now()
  #lookedAt = performance.now()
  #isWatched = false
  readonly #watch: NodeJS.Timeout
  /** Resolves when nothing of it is left. */
  readonly ended: Promise<void>

  constructor(parts: PluginProcessParts) {
    this.#parts = parts
    const { launched, onEnd } = parts
    this.#channel = new Channel(launched.channel, {
      onMessage: (message) => this.#hear(message),
      onBroken: (reason) => this.kill(`Its process was ended: ${reason}.`),
    })
    for (const stream of launched.output) this.#keepLines(stream)
    const onClosed = () => this.#awaitEnd('Its process closed its channel and was ended.')
    launched.channel.once('close', onClosed)
    this.#watch = setInterval(() => this.#look(), lookMs).unref()
    this.ended = launched.ended.then((how) => {
      clearInterval(this.#watch)
      clearTimeout(this.#parting)
      launched.channel.off('close', onClosed)
      launched.channel.destroy()
      onEnd(this.#reason ?? how)
    })
  }

  /** Never throws for what is too much for the other end: that ends it. */
  send(...message: Message): void {
    this.#channel.send(message)
  }

  /** Asks it to end. What is said in the same turn arrives with that: calls are aborted before the work for subscribers ends. */
  stop(): void {
    const { channel } = this.#parts.launched
    channel.cork()
    this.send('stop')
    process.nextTick(() => channel.uncork())
  }

  /** Lets it end by itself, for as long as that takes at most. */
  part(): void {
    this.#parts.launched.channel.end()
    this.#awaitEnd('It was stopped, and its process did not end.')
  }

  #awaitEnd(reason: string): void {
    this.#parting ??= setTimeout(() => this.kill(reason), partingMs)
  }

  /** From now on it must give signs of life. */
  watch(): void {
    this.#heardAt = performance.now()
    this.#isWatched = true
  }

  /** Ends it at once. The first reason is the one. */
  kill(reason: string): void {
    this.#reason ??= reason
    this.#parts.launched.kill()
  }

  /** Undefined where the kernel does not tell, or it has ended. */
  figures(): ProcessFigures | undefined {
    const figures = this.#parts.launched.figures()
    return figures && { ...figures, loopDelayMs: this.#loopDelayMs, waiting: this.#channel.waiting }
  }

  #hear(message: Message): void {
    this.#heardAt = performance.now()
    if (message[0] === 'beat') this.#beat(message[1])
    // What the kernel does not give it any more is an exception in its code.
    else if (message[0] === 'fail' && this.#hasTooMuch()) this.kill(tooMuch(this.#parts.memoryMb))
    else this.#parts.onMessage(message)
  }

  #beat(loopDelayMs: unknown): void {
    this.#loopDelayMs = typeof loopDelayMs === 'number' ? loopDelayMs : 0
  }

  #look(): void {
    const { memoryMb, silenceMs } = this.#parts
    const now = performance.now()
    // This process itself was away: stopped, or too busy to hear.
    if (now - this.#lookedAt > 2 * lookMs) this.#heardAt = now
    this.#lookedAt = now
    if (this.#hasTooMuch()) this.kill(tooMuch(memoryMb))
    else if (this.#isWatched && now - this.#heardAt > silenceMs)
      this.kill(`Its process did not answer for ${silenceMs / 1000} s and was ended.`)
  }

  #hasTooMuch(): boolean {
    return (this.figures()?.ownMemory ?? 0) > this.#parts.memoryMb * 1024 * 1024
  }

  #keepLines(stream: Launched['output'][number]): void {
    const { log, memoryMb } = this.#parts
    const onLine = (line: string) => {
      if (heapIsFull.test(line)) this.#reason ??= tooMuch(memoryMb)
      log.info({}, line)
    }
    readLines(stream, { longest: longestLine, onLine, onTooLong: () => log.info({}, '[a line that is too long]') })
  }
}

const tooMuch = (memoryMb: number) => `It used more than ${memoryMb} MB of memory and was ended.`
