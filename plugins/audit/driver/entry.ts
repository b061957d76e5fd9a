type Field = string | number | readonly string[] | undefined

/** Something that happened. */
export interface Entry {
  /** ISO 8601, UTC. */
  readonly time: string
  readonly kind: string
  readonly [field: string]: Field
}

/** An entry as it is written. */
export type Numbered = Entry & { readonly n: number }

const most = { text: 256, list: 50 }

/** Texts from outside, cut to a length that a line can bear. */
export function cut(value: unknown): Field {
  if (typeof value === 'number') return value
  if (Array.isArray(value)) return value.slice(0, most.list).map((each) => String(cut(each)))
  if (value === undefined || value === null) return undefined
  const text = String(value)
  return text.length > most.text ? `${text.slice(0, most.text)}…` : text
}

/** One line of JSON in which nothing is invisible: JSON itself leaves some such characters as they are. */
export function lineOf(entry: Entry): string {
  const shown = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  const text = JSON.stringify(entry)
  return `${text.replace(/[\x7f-\x9f\p{Cf}\u2028\u2029]/gu, (character) => character.split('').map(shown).join(''))}\n`
}

/** The entry on a line; undefined if that is none, as after a power cut. */
export function entryOf(line: string): Numbered | undefined {
  try {
    const entry = JSON.parse(line) as Numbered | null
    return typeof entry?.n === 'number' && typeof entry.time === 'string' && typeof entry.kind === 'string' ? entry : undefined
  } catch {
    return undefined
  }
}
