import type { Entry } from './entry.ts'
import { type LeftOut, Quota, type QuotaRule } from './quota.ts'

interface Pending {
  readonly source: string
  readonly entry: Entry
  count: number
}

const most = 1000

/**
 * Happenings of one sort on their way to the file. The same within a second is one entry with a `count`, at most 1,000 different ones wait,
 * and each source has its quota; for what is beyond these there are entries of the kind `left_out`.
 */
export class Intake {
  readonly #of: string
  readonly #sourceField: string
  readonly #quota: Quota
  /** By group and key, which are no new strings where it must be quick: their hashes are known. */
  #pending = new Map<string, Map<string, Pending>>()
  #size = 0
  #overflow = 0
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

  /** Counts what is known by this group and key already; otherwise `make` gives its entry. True if something begins to wait. */
  add(group: string, key: string, source: string, make: () => Entry): boolean {
    let known = this.#pending.get(group)
    const same = known?.get(key)
    if (same) {
      same.count += 1
      return false
    }
    if (this.#size >= most) {
      this.#overflow += 1
      return false
    }
    if (!known) {
      known = new Map()
      this.#pending.set(group, known)
    }
    known.set(key, { source, entry: make(), count: 1 })
    this.#size += 1
    return this.#size === 1
  }

  /** What is to be written now. With `all`, what quotas have left out so far too. */
  take(all: boolean): Entry[] {
    const entries: Entry[] = []
    for (const known of this.#pending.values())
      for (const { source, entry, count } of known.values())
        if (this.#quota.admits(source, count)) entries.push(count > 1 ? { ...entry, count } : entry)
    if (this.#overflow > 0) entries.push(this.#leftOut({ count: this.#overflow }))
    if (all) this.#quota.flush()
    entries.push(...this.#told)
    this.#pending = new Map()
    this.#size = 0
    this.#overflow = 0
    this.#told = []
    return entries
  }

  #entriesOf({ sources, others }: LeftOut): Entry[] {
    const named = sources.map(([source, count]) => this.#leftOut({ ...(source && { [this.#sourceField]: source }), count }))
    return others.count > 0 ? [...named, this.#leftOut({ ...others })] : named
  }

  #leftOut(fields: Readonly<Record<string, string | number>>): Entry {
    return { time: new Date().toISOString(), kind: 'left_out', of: this.#of, ...fields }
  }
}
