import { isDeepStrictEqual } from 'node:util'
import type { Finding } from '../plugin/capabilities.ts'
import type { Needs } from '../plugin/contract.ts'
import { type Surroundings, watchNeeds } from './needs.ts'

/** What a plugin needs and what of it is missing, for as long as it is to run. */
export class NeedsWatch {
  readonly #bus: Surroundings['bus']
  readonly #onChange: () => void
  #needs: Needs | undefined
  #unwatch: (() => void) | undefined
  #missing: readonly Finding[] = []

  constructor(bus: Surroundings['bus'], onChange: () => void) {
    this.#bus = bus
    this.#onChange = onChange
  }

  /** Why it cannot run and what mends that. */
  get problem(): string | undefined {
    if (this.#missing.length === 0) return undefined
    return this.#missing.map(({ sentence, mend }) => (mend ? `${sentence} Mend it with: ${mend}` : sentence)).join(' ')
  }

  /** Resolves when it is known what is missing; later changes are told. */
  async watch(needs: Needs): Promise<void> {
    if (isDeepStrictEqual(needs, this.#needs)) return
    this.#unwatch?.()
    this.#needs = needs
    await new Promise<void>((resolve) => {
      this.#unwatch = watchNeeds(needs, { bus: this.#bus }, (missing) => {
        this.#missing = missing
        resolve()
        this.#onChange()
      })
    })
  }

  forget(): void {
    this.#unwatch?.()
    this.#unwatch = undefined
    this.#needs = undefined
    this.#missing = []
  }
}
