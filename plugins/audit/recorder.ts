import type { Context } from 'patchbay/plugin'
import type { audit } from './contract.ts'
import { cut, type Entry } from './driver/entry.ts'
import { Intake } from './driver/intake.ts'

export type Observer = Parameters<Context<typeof audit>['host']['observe']>[0]
export type Outcome = Parameters<NonNullable<Observer['command']>>[0]
export type Notice = Parameters<NonNullable<Observer['notice']>>[0]

/** A little longer than an intake counts. */
const gatherMs = 1010
const minute = 60_000
const hour = 60 * minute

/** Decides what is written. Everything of one sort shares an intake, so that no sort can crowd out another. */
export class Recorder implements Observer {
  readonly #write: (entries: Entry[]) => void
  #immediate: NodeJS.Immediate | undefined
  #timer: NodeJS.Timeout | undefined

  readonly #commands = this.#intake('commands', 'userId', 60, minute, 20_000)
  readonly #denials = this.#intake('denials', 'userId', 20, minute, 5000)
  readonly #logins = this.#intake('logins', 'userId', 30, minute, 5000)
  readonly #refusals = this.#intake('refusals', 'address', 10, minute, 2000)
  readonly #reads = this.#intake('reads', 'reader', 1, hour, 1000)
  readonly #changes = this.#intake('changes', 'what', 60, minute, 5000)

  constructor(write: (entries: Entry[]) => void) {
    this.#write = write
  }

  /** An operator's or owner's command, and whatever was refused for want of a role. Clients wait for it: no work without need. */
  readonly command = (outcome: Outcome): void => {
    const { caller, command, role, code } = outcome
    if (role !== 'operator' && role !== 'owner' && code !== 'FORBIDDEN') return
    const intake = code === 'FORBIDDEN' ? this.#denials : this.#commands
    const isUsual = code === 'OK' && caller.namespace === '/' && command !== undefined
    const key = isUsual ? command : `${code} ${caller.namespace} ${command}`
    this.#arm(intake.add(caller.sessionId, key, caller.userId, () => commandEntry(outcome)))
  }

  readonly notice = (notice: Notice): void => {
    const { intake, source } = this.#placeOf(notice)
    const { kind, ...fields } = notice
    const make = (): Entry => ({ time: now(), kind, ...cutFields(fields) })
    this.#arm(intake.add(kind, JSON.stringify(notice), cut(source) as string, make))
  }

  /** Hands on what waits, and what was counted so far. */
  close(): void {
    this.#flush(true)
  }

  #placeOf(notice: Notice): { intake: Intake; source: string } {
    switch (notice.kind) {
      case 'refused':
      case 'token_reused':
        return { intake: this.#refusals, source: notice.address }
      case 'http':
        return notice.status < 400
          ? { intake: this.#reads, source: `${notice.userId} ${notice.plugin} ${notice.route}` }
          : { intake: this.#refusals, source: notice.address }
      case 'login':
      case 'connected':
      case 'disconnected':
      case 'session_ended':
        return { intake: this.#logins, source: notice.userId }
      case 'plugin':
        return { intake: this.#changes, source: notice.plugin }
      case 'config':
        return { intake: this.#changes, source: notice.file }
      default:
        return { intake: this.#changes, source: notice.kind }
    }
  }

  #intake(of: string, sourceField: string, lines: number, windowMs: number, perDay: number): Intake {
    return new Intake(of, sourceField, { lines, windowMs, perDay }, () => this.#arm('now'))
  }

  #arm(when: ReturnType<Intake['add']>): void {
    if (when === 'now') this.#immediate ??= setImmediate(() => this.#flush(false))
    if (when === 'in a second') this.#timer ??= setTimeout(() => this.#late(), gatherMs).unref()
  }

  #late(): void {
    this.#timer = undefined
    this.#flush(false)
  }

  #flush(all: boolean): void {
    clearImmediate(this.#immediate)
    this.#immediate = undefined
    const intakes = [this.#commands, this.#denials, this.#logins, this.#refusals, this.#reads, this.#changes]
    const entries = intakes.flatMap((intake) => intake.take(all)).sort((a, b) => (a.time < b.time ? -1 : Number(a.time > b.time)))
    if (entries.length > 0) this.#write(entries)
    if (all) clearTimeout(this.#timer)
    else if (intakes.some(({ isCounting }) => isCounting)) this.#arm('in a second')
  }
}

/** Payloads and answers are not in it: they may hold secrets. */
function commandEntry({ caller, address, module, command, code, id }: Outcome): Entry {
  const { userId, sessionId: session, namespace } = caller
  const where = namespace === '/' ? {} : { namespace }
  return { time: now(), kind: 'command', ...cutFields({ userId, session, address, module, command, ...where, result: code, id }) }
}

function cutFields(fields: object): Record<string, ReturnType<typeof cut>> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, cut(value)]))
}

const now = () => new Date().toISOString()
