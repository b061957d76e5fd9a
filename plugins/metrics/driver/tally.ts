import type { Family, Sample } from './exposition.ts'
import { Rows } from './rows.ts'

/** Upper bounds of the duration histogram's buckets. */
const boundsS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const boundsMs = boundsS.map((bound) => bound * 1000)

interface CommandRow {
  /** How often, by code. */
  readonly codes: Map<string, { count: number }>
  /** How many took at most the bound of this index and more than the one before; the last are beyond all bounds. */
  readonly buckets: Float64Array
  sumMs: number
}

interface EventRow {
  sent: number
  held: number
}

/**
 * Counts what passes through the host, in plain numbers; text is made of them when somebody reads. A command costs about a tenth of a
 * microsecond. Names that are given here come from contracts, and yet there is a bound to how many are kept.
 */
export class Tally {
  readonly #sinceS = Date.now() / 1000
  readonly #commands = new Rows<CommandRow>(() => ({
    codes: new Map(),
    buckets: new Float64Array(boundsMs.length + 1),
    sumMs: 0,
  }))
  readonly #events = new Rows<EventRow>(() => ({ sent: 0, held: 0 }))
  readonly #refusals = new Map<string, { count: number }>()
  #cutOff = 0

  /** A command was answered, after `ms` milliseconds. All that are no command here are one. */
  command({ module, command = 'unknown', code, ms }: { module: string; command: string | undefined; code: string; ms: number }) {
    const row = this.#commands.of(module, command)
    count(row.codes, code)
    let index = 0
    while (ms > (boundsMs[index] ?? Infinity)) index++
    ;(row.buckets[index] as number)++
    row.sumMs += ms
  }

  /** An event was meant for this many clients, `held` of which get a later value instead. */
  delivered(module: string, event: string, clients: number, held: number): void {
    const row = this.#events.of(module, event)
    row.sent += clients - held
    row.held += held
  }

  /** Somebody was not let in. */
  refused(code: string): void {
    count(this.#refusals, code)
  }

  /** A client was cut off. */
  cutOff(): void {
    this.#cutOff++
  }

  families(): Family[] {
    const commands = this.#commands.list((module, command) => ({ module, command }))
    const events = this.#events.list((module, event) => ({ module, event }))
    const family = (name: string, type: Family['type'], help: string, samples: Sample[]) => ({ name, type, help, samples })
    return [
      family(
        'patchbay_commands_total',
        'counter',
        'Commands answered, by result: OK or an error code. command="unknown" is all that is no command here.',
        commands.flatMap(([labels, { codes }]) =>
          [...codes].map(([code, each]) => ({ labels: { ...labels, code }, value: each.count })),
        ),
      ),
      family(
        'patchbay_command_duration_seconds',
        'histogram',
        'Time from the arrival of a command to its answer.',
        commands.flatMap(([labels, row]) => histogram(labels, row)),
      ),
      family(
        'patchbay_events_sent_total',
        'counter',
        'Events sent, counted once for each client.',
        events.map(([labels, { sent }]) => ({ labels, value: sent })),
      ),
      family(
        'patchbay_events_held_total',
        'counter',
        'Values held back from clients that read slowly: they get the latest one when they have caught up.',
        events.map(([labels, { held }]) => ({ labels, value: held })),
      ),
      family(
        'patchbay_refusals_total',
        'counter',
        'Logins and connections refused, by error code, as far as the host tells of them: a storm is counted in part.',
        [...this.#refusals].map(([code, each]) => ({ labels: { code }, value: each.count })),
      ),
      family('patchbay_clients_cut_off_total', 'counter', 'Clients cut off because they left too much unread.', [
        { value: this.#cutOff },
      ]),
      family(
        'patchbay_counting_since_timestamp_seconds',
        'gauge',
        'When counting began: with the first scrape after a silence. What came before is in none of these counters.',
        [{ value: this.#sinceS }],
      ),
    ]
  }
}

/** More codes than this are counted as one. A contract has a dozen. */
const maxCodes = 64

function count(codes: Map<string, { count: number }>, code: string): void {
  const known = codes.get(code)
  if (known) known.count++
  else if (codes.size < maxCodes || code === 'other') codes.set(code, { count: 1 })
  else count(codes, 'other')
}

function histogram(labels: Readonly<Record<string, string>>, { buckets, sumMs }: CommandRow): Sample[] {
  let total = 0
  const samples: Sample[] = [...buckets].map((each, index) => {
    total += each
    return { suffix: '_bucket', labels: { ...labels, le: String(boundsS[index] ?? '+Inf') }, value: total }
  })
  return [...samples, { suffix: '_sum', labels, value: sumMs / 1000 }, { suffix: '_count', labels, value: total }]
}
