import type { Owner, Release } from '../plugin/context.ts'

/** Owns resources, and releases them in reverse order when it ends. */
export class Scope implements Owner {
  readonly #abort = new AbortController()
  readonly #onError: (error: unknown) => void
  readonly #releases: Release[] = []
  #ended: Promise<void> | undefined

  /** What a release throws is told to `onError`; the others run all the same. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  own<T extends Release>(resource: T): T
  own<T extends Release>(resource: Promise<T>): Promise<T>
  own<T extends Release>(resource: T | Promise<T>): T | Promise<T> {
    if (resource instanceof Promise) return resource.then((arrived) => this.own(arrived))
    if (this.signal.aborted) void this.#release(resource)
    else this.#releases.push(resource)
    return resource
  }

  /** From now on it owns nothing new; what it owns stays until `end`. */
  abort(): void {
    this.#abort.abort()
  }

  /** Resolves when everything is released. */
  end(): Promise<void> {
    this.abort()
    this.#ended ??= this.#releaseAll()
    return this.#ended
  }

  async #releaseAll(): Promise<void> {
    for (const release of this.#releases.reverse()) await this.#release(release)
  }

  async #release(resource: Release): Promise<void> {
    try {
      if (typeof resource === 'function') await resource()
      else if ('close' in resource) await resource.close()
      else if ('stop' in resource) await resource.stop()
      else await resource[Symbol.asyncDispose]()
    } catch (error) {
      this.#onError(error)
    }
  }
}
