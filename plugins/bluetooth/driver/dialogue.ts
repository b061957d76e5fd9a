import { randomUUID } from 'node:crypto'
import { Failure } from './failure.ts'

export interface Question {
  readonly id: string
  /**
   * `compare`: does the device show `number` too; `enter`: the code that the device shows or that its manual tells; `show`: `number`
   * is to be typed on the device; `risk`: it can type, and showed nothing that proves it to be the one it seems.
   */
  readonly kind: 'compare' | 'enter' | 'show' | 'risk'
  readonly number?: string
  /** Of `show`: digits that were typed on the device so far. */
  readonly entered?: number
  /** Of `enter`: 1 to 6 digits; otherwise 1 to 16 characters. */
  readonly digits?: boolean
  /** What is left for this and further questions, in milliseconds. */
  readonly expiresInMs: number
}

type Asked = Omit<Question, 'id' | 'expiresInMs'>

export interface Answer {
  readonly accept: boolean
  readonly pin?: string | undefined
}

/** Who pairs. */
export interface Person {
  readonly user: string
  tell(question: Question): void
}

/** What one person is asked while a device is paired: one question at a time, and all of them within `maxMs` of the first. */
export class Dialogue {
  readonly person: Person
  /** A number passed between device and person: nobody else is in between. */
  hadNumber = false
  /** Why it ended without the answer that was asked for, if the person is the reason. */
  failure: Failure | undefined
  readonly #maxMs: number
  readonly #onWait: (isWaiting: boolean, msLeft: number) => void
  readonly #onFailure: () => void
  #pin: string | undefined
  #endsAt: number | undefined
  #timer: NodeJS.Timeout | undefined
  #current: { readonly id: string; readonly asked: Asked; settle(outcome: Answer | Failure): void } | undefined
  #isOver = false

  /** `pin` was given beforehand and answers once. `onWait` is told when a person is being waited for, and when not any more. */
  constructor(
    person: Person,
    {
      pin,
      maxMs,
      ...events
    }: { pin: string | undefined; maxMs: number; onWait: (isWaiting: boolean, msLeft: number) => void; onFailure: () => void },
  ) {
    this.person = person
    this.#pin = pin
    this.#maxMs = maxMs
    this.#onWait = events.onWait
    this.#onFailure = events.onFailure
  }

  /** The code that the device wants. */
  async code(digits: boolean): Promise<string> {
    const given = this.#pin
    this.#pin = undefined
    this.hadNumber = true
    if (fits(given, digits)) return given
    const { pin } = await this.#ask({ kind: 'enter', digits })
    return pin as string
  }

  /** Resolves if the person says that the device shows the same. */
  async compare(number: string): Promise<void> {
    this.hadNumber = true
    await this.#ask({ kind: 'compare', number })
  }

  /** Resolves if the person wants the device although it can type. */
  async risk(): Promise<void> {
    await this.#ask({ kind: 'risk' })
  }

  /** Shows what is to be typed on the device, again for each digit. The person can only give up. */
  show(number: string, entered: number): void {
    this.hadNumber = true
    const asked = { kind: 'show', number, entered } as const
    if (this.#current?.asked.number === number) this.#tell(this.#current.id, asked)
    else this.#ask(asked).catch(() => undefined)
  }

  /** False if this is not what is being asked. Throws if it does not fit; the question stands then. */
  answer(id: string, answer: Answer): boolean {
    const { asked, settle } = this.#current?.id === id ? this.#current : {}
    if (!asked) return false
    if (answer.accept && asked.kind === 'show') throw new Failure('INVALID_PAYLOAD', 'That code is to be typed on the device.')
    if (answer.accept && asked.kind === 'enter' && !fits(answer.pin, asked.digits === true))
      throw new Failure('INVALID_PAYLOAD', `"pin" must have ${asked.digits ? '1 to 6 digits' : '1 to 16 characters'}.`)
    settle?.(answer)
    return true
  }

  /** BlueZ has no use for an answer any more. */
  cancel(): void {
    this.#current?.settle(new Failure('BT_AUTH_CANCELED'))
  }

  end(): void {
    this.#isOver = true
    clearTimeout(this.#timer)
    this.cancel()
  }

  #ask(asked: Asked): Promise<Answer> {
    this.cancel()
    if (this.#isOver) return Promise.reject(new Failure('BT_AUTH_CANCELED'))
    this.#endsAt ??= this.#begin()
    return new Promise((resolve, reject) => {
      const settle = (outcome: Answer | Failure) => {
        this.#current = undefined
        this.#onWait(false, 0)
        if (!(outcome instanceof Failure) && outcome.accept) return resolve(outcome)
        const failure = outcome instanceof Failure ? outcome : new Failure('BT_DECLINED')
        reject(failure)
        if (failure.code !== 'BT_AUTH_CANCELED') this.#fail(failure)
      }
      const id = randomUUID()
      this.#current = { id, asked, settle }
      this.#onWait(true, this.#msLeft)
      this.#tell(id, asked)
    })
  }

  #begin(): number {
    this.#timer = setTimeout(() => {
      const late = new Failure('BT_NO_ANSWER')
      if (this.#current) this.#current.settle(late)
      else this.#fail(late)
    }, this.#maxMs)
    return performance.now() + this.#maxMs
  }

  #fail(failure: Failure): void {
    this.failure ??= failure
    this.#isOver = true
    this.#onFailure()
  }

  #tell(id: string, asked: Asked): void {
    this.person.tell({ ...asked, id, expiresInMs: this.#msLeft })
  }

  get #msLeft(): number {
    return Math.max(0, Math.round((this.#endsAt as number) - performance.now()))
  }
}

function fits(pin: string | undefined, digits: boolean): pin is string {
  return pin !== undefined && (digits ? /^\d{1,6}$/ : /^.{1,16}$/su).test(pin)
}
