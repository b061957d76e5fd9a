import type { Log } from '../plugin/context.ts'
import type { CommandOutcome, HostObserver, Notice } from '../plugin/host-control.ts'

/** Which notices the log tells too, and how; the others are seen in it otherwise, or are too many. */
const told: Partial<Record<Notice['kind'], readonly ['info' | 'warn', string]>> = {
  login: ['info', 'logged in'],
  refused: ['warn', 'refused'],
  session_ended: ['info', 'a session has ended'],
  token_reused: ['warn', 'a replaced session token was used again'],
}

/** Those who are told what passes through the host. With nobody there it costs nothing. */
export class Observers {
  readonly #all = new Set<HostObserver>()
  readonly #log: Log
  /** Whether anybody wants to hear of commands: they are timed only then. */
  hearCommands = false

  constructor(log: Log) {
    this.#log = log
  }

  add(observer: HostObserver): () => void {
    this.#all.add(observer)
    const count = () => {
      this.hearCommands = [...this.#all].some(({ command }) => command)
    }
    count()
    return () => {
      this.#all.delete(observer)
      count()
    }
  }

  command(outcome: CommandOutcome): void {
    for (const observer of this.#all) observer.command?.(outcome)
  }

  delivered(module: string, event: string, clients: number, held: number): void {
    for (const observer of this.#all) observer.delivered?.(module, event, clients, held)
  }

  cutOff(userId: string): void {
    for (const observer of this.#all) observer.cutOff?.(userId)
  }

  notice(notice: Notice): void {
    const { kind, ...fields } = notice
    const [level, sentence] = told[kind] ?? []
    if (level) this.#log[level](fields, sentence)
    for (const observer of this.#all) observer.notice?.(notice)
  }
}
