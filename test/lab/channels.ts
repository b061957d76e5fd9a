// The two sockets into the emulator: the agent inside the machine, and QEMU's monitor.
import { Buffer } from 'node:buffer'
import { EventEmitter } from 'node:events'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'

export interface Result {
  code: number
  /** Standard output and standard error as they came, at most 8 MB. */
  output: string
}

interface Asked<T> {
  resolve: (value: T) => void
  reject: (error: Error) => void
}

/** A broken socket is told by the emulator's end, not here. */
function eachLine(socket: Duplex, listener: (line: string) => void): void {
  createInterface(socket.on('error', () => undefined))
    .on('error', () => undefined)
    .on('line', listener)
}

/** The serial port that guest/agent.sh serves. Emits `up` each time the machine has booted. */
export class Agent extends EventEmitter<{ up: [] }> {
  readonly #socket: Duplex
  readonly #jobs = new Map<string, Asked<Result>>()

  constructor(socket: Duplex) {
    super()
    this.#socket = socket
    eachLine(socket, (line) => this.#heard(line))
  }

  /** Asks for the script of this id. A machine that goes down before it has answered rejects it. */
  run(id: string, seconds: number, user: string): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#jobs.set(id, { resolve, reject })
      this.#socket.write(`${id} ${seconds} ${user}\n`)
    })
  }

  /** A machine that was frozen has been started: it answers `up` when it can be asked. */
  thaw(): void {
    this.#socket.write(`thaw ${Math.round(Date.now() / 1000)}\n`)
  }

  /** Rejects all that is unanswered. */
  lost(why: string): void {
    for (const { reject } of this.#jobs.values()) reject(new Error(why))
    this.#jobs.clear()
  }

  #heard(line: string): void {
    const [id = '', code, output = ''] = line.split(' ')
    if (id === 'up') {
      this.lost('The lab machine was started again before it had answered.')
      this.emit('up')
      return
    }
    // Half a line, from a machine that went down while it spoke, is nobody's.
    this.#jobs.get(id)?.resolve({ code: Number(code), output: Buffer.from(output, 'base64').toString() })
    this.#jobs.delete(id)
  }
}

/** QEMU's machine protocol, one JSON object a line. */
export class Monitor {
  readonly #socket: Duplex
  readonly #asked: Asked<unknown>[] = []

  constructor(socket: Duplex) {
    this.#socket = socket
    eachLine(socket, (line) => {
      const message: { return?: unknown; error?: { desc: string } } = JSON.parse(line)
      if (message.error) this.#asked.shift()?.reject(new Error(`QEMU: ${message.error.desc}`))
      else if ('return' in message) this.#asked.shift()?.resolve(message.return)
    })
    this.#ask({ execute: 'qmp_capabilities' }).catch(() => undefined) // an emulator that ends at once is told by its exit
  }

  /** A command as a person types it at QEMU's prompt; resolves with what it prints, `''` when all is well with most. */
  async command(line: string): Promise<string> {
    return String(await this.#ask({ execute: 'human-monitor-command', arguments: { 'command-line': line } }))
  }

  lost(why: string): void {
    for (const { reject } of this.#asked.splice(0)) reject(new Error(why))
  }

  #ask(request: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject })
      this.#socket.write(`${JSON.stringify(request)}\n`)
    })
  }
}
