import type { Bluez } from './bluez.ts'
import { Countdown } from './countdown.ts'
import { Dialogue, type Person } from './dialogue.ts'
import { Failure } from './failure.ts'
import type { Device } from './objects.ts'

export interface PairingRequest {
  readonly adapter: string
  readonly device: string
  readonly pin: string | undefined
  readonly person: Person
  /** Nobody waits for the outcome any more. */
  readonly signal: AbortSignal
  /** The deadline of whoever waits stands still until the returned function is called, at most this long. */
  readonly suspend: (maxMs: number) => () => void
}

/** Milliseconds. */
export const pairingLimits = {
  /** All questions to a person together: BlueZ's own patience with each. */
  dialogue: 60_000,
  /** All but these questions. */
  radio: 12_500,
  /** How long BlueZ is given to end what was given up, before it is answered anyway. */
  grace: 1_500,
  /** How long a device that showed no number is given to say what services it has. */
  services: 2_000,
}

/**
 * Pairs one device for one person. What is given up while it is under way is undone, also if BlueZ is done with it later.
 *
 * Where a number passed between the device and the person, both are who they seem. Without one anybody nearby may be the device; if
 * that can type it could give commands to this machine, so it is kept blocked until the person has said that it is wanted.
 */
export class Pairing {
  readonly device: string
  readonly dialogue: Dialogue
  readonly #bluez: Bluez
  readonly #limits: typeof pairingLimits
  readonly #look: () => Device | undefined
  readonly #request: PairingRequest
  readonly #countdown: Countdown
  readonly #abandoned: Promise<never>
  #abandon: () => void = () => undefined
  #why: Failure | undefined
  #grace: NodeJS.Timeout | undefined

  constructor(bluez: Bluez, request: PairingRequest, look: () => Device | undefined, limits = pairingLimits) {
    this.#limits = limits
    this.device = request.device
    this.#bluez = bluez
    this.#look = look
    this.#request = request
    this.#abandoned = new Promise((_, reject) => {
      this.#abandon = () => reject(this.#why)
    })
    this.#abandoned.catch(() => undefined)
    let resume = () => undefined as void
    this.#countdown = new Countdown(limits.radio, () =>
      this.#giveUp(new Failure(look()?.connected ? 'BT_AUTH_TIMEOUT' : 'BT_UNREACHABLE')),
    )
    this.dialogue = new Dialogue(request.person, {
      pin: request.pin,
      maxMs: limits.dialogue,
      onWait: (isWaiting, msLeft) => {
        if (isWaiting) this.#countdown.pause()
        else this.#countdown.run()
        resume()
        resume = isWaiting ? request.suspend(msLeft) : () => undefined
      },
      onFailure: () => this.#giveUp(this.dialogue.failure as Failure),
    })
  }

  /** Resolves when the device is paired and trusted. */
  async run(): Promise<void> {
    const { signal } = this.#request
    const leave = () => this.#giveUp(new Failure('BT_AUTH_CANCELED'))
    signal.addEventListener('abort', leave)
    try {
      if (signal.aborted) leave()
      await Promise.race([this.#pair(), this.#abandoned])
    } catch (error) {
      throw this.#why ?? error
    } finally {
      signal.removeEventListener('abort', leave)
      this.dialogue.end()
      this.#countdown.pause()
      clearTimeout(this.#grace)
    }
  }

  async #pair(): Promise<void> {
    const { adapter, device } = this.#request
    const undo = () => this.#bluez.remove(adapter, device).catch(() => undefined)
    await this.#bluez.device(device, 'Pair', this.#limits.dialogue + this.#limits.radio + this.#limits.grace)
    try {
      if (!this.dialogue.hadNumber) await this.#weigh()
      if (this.#why) throw this.#why
    } catch (error) {
      await undo()
      throw error
    }
    await this.#bluez.set(device, 'Trusted', true)
  }

  /** A device that showed no number: asks whether it is wanted if it can type. */
  async #weigh(): Promise<void> {
    const giveUpAt = performance.now() + this.#limits.services
    while (!this.#look()?.servicesResolved && !this.#why && performance.now() < giveUpAt)
      await new Promise((resolve) => setTimeout(resolve, this.#limits.services / 20))
    if (!this.#look()?.canType) return
    await this.#bluez.set(this.device, 'Blocked', true)
    await this.dialogue.risk()
    await this.#bluez.set(this.device, 'Blocked', false)
  }

  #giveUp(failure: Failure): void {
    if (this.#why) return
    this.#why = failure
    this.dialogue.end()
    this.#bluez.device(this.device, 'CancelPairing').catch(() => undefined)
    this.#grace = setTimeout(this.#abandon, this.#limits.grace)
  }
}
