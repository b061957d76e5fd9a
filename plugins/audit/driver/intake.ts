import type { Entry } from './entry.ts'
import { type LeftOut, Quota, type QuotaRule } from './quota.ts'

interface Known {
  readonly source: string
  readonly entry: Entry
  /** How often it came again. */
  count: number
}

const most = 1000
const windowMs = 1000

/**
 * Happenings of one sort on their way to the file. The first of its kind is written at once; when it comes again within a second,
 * that is counted and told in one more entry, with a `count`. At most 1,000 different ones a second are told apart, and each source has
 * its quota; for what is beyond these there are entries of the kind `left_out`.
 */
export class Intake {
  readonly #of: string
  readonly #sourceField: string
  readonly #quota: Quota
  /** Of this second, by group and key, which are no new strings where it must be quick: their hashes are known. */
  #known = new Map<string, Map<string, Known>>()
  #size = 0
  #windowEnd = 0
  /** Something of this second is counted and must be told at its end. */
  #isCounting = false
  #overflow = 0
  #ready: Known[] = []
  #told: Entry[] = []

  /** `of`: what these are, for `left_out`. `sourceField`: the field that names a source. `onTold`: there is something to take. */
  constructor(of: string, sourceField: string, rule: QuotaRule, onTold: () => void) {
    this.#of = of
    this.#sourceField = sourceField
    this.#quota = new Quota(rule, (leftOut) => {
      this.#told.push(...this.#entriesOf(leftOut))
      onTold()
    })
  }

  /** `make` gives the entry of what is not known by this group and key. Says when `take` will have something, if that is new. */
  add(group: string, key: string, source: string, make: () => Entry): 'now' | 'in a second' | undefined {
    const now = performance.now()
    if (now >= this.#windowEnd) {
      this.#turn()
      this.#windowEnd = now + windowMs
    }
    let known = this.#known.get(group)
    const same = known?.get(key)
    if (same || this.#size >= most) {
      if (same) same.count += 1
      else this.#overflow += 1
      if (this.#isCounting) return undefined
      this.#isCounting = true
      return 'in a second'
    }
    if (!known) {
      known = new Map()
      this.#known.set(group, known)
    }
    const fresh = { source, entry: make(), count: 0 }
    known.set(key, fresh)
    this.#size += 1
    this.#ready.push({ ...fresh, count: 1 })
    return 'now'
  }

  /** Whether something is still counted. */
  get isCounting(): boolean {
    return this.#isCounting
  }

  /** What is to be written now. With `all`, what was counted so far too. */
  take(all: boolean): Entry[] {
    if (all || performance.now() >= this.#windowEnd) this.#turn()
    const admitted = this.#ready.filter(({ source, count }) => this.#quota.admits(source, count))
    this.#ready = []
    if (all) this.#quota.flush()
    const told = this.#told
    this.#told = []
    return [...admitted.map(({ entry }) => entry), ...told]
  }

  /** A second is over: what came again in it is ready. */
  #turn(): void {
    const time = new Date().toISOString()
    for (const known of this.#known.values())
      for (const { source, entry, count } of known.values())
        if (count > 0) this.#ready.push({ source, entry: { ...entry, time, count }, count })
    if (this.#overflow > 0) this.#told.push(this.#leftOut({ count: this.#overflow }))
    this.#known = new Map()
    this.#size = 0
    this.#overflow = 0
    this.#isCounting = false
  }

  #entriesOf({ sources, others }: LeftOut): Entry[] {
    const named = sources.map(([source, count]) => this.#leftOut({ ...(source && { [this.#sourceField]: source }), count }))
    return others.count > 0 ? [...named, this.#leftOut({ ...others })] : named
  }

  #leftOut(fields: Readonly<Record<string, string | number>>): Entry {
    return { time: new Date().toISOString(), kind: 'left_out', of: this.#of, ...fields }
  }
}
