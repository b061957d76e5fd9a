import { must, succeeds } from './checks.ts'

/** How many ways through a text a pattern may have: all of them are tried on a text that almost fits. */
const maxWays = 40_000
/** The length of a text without a `maxLength`: room for one repeat without end, not for two. */
const unknownLength = 10_000

const token = /\\[pPu]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]|\(\?<?[=!]|\((?:\?<[^>]*>|\?[a-z-]*:)?|([*+?]|\{\d+(?:,\d*)?\})\??|./gsu
const unbounded = /^(\(\?<?[=!]|\\[1-9k])/

/**
 * Refuses a regular expression that could take long on some text. The number of ways through it, bounded from above, bounds
 * the time; look-around, back references and a choice inside a repeat without end leave it unbounded. A text longer than
 * `maxLength` is refused before its pattern is tried.
 */
export function checkPattern(pattern: unknown, at: string, maxLength = unknownLength): void {
  must(typeof pattern === 'string' && pattern.length <= 1000, at, 'be a regular expression of at most 1,000 characters')
  must(
    succeeds(() => new RegExp(pattern, 'u')),
    at,
    'be a regular expression that is valid with the flag u',
  )
  must(
    ways(pattern, maxLength) <= maxWays,
    at,
    'be a pattern that never takes long: begin it with ^, use one * or + and none inside a group that repeats, no look-around, no back reference; or set a smaller maxLength beside it',
  )
}

/** The product of parts that follow each other, the sum of alternatives; times the length if it may begin anywhere. */
function ways(pattern: string, length: number): number {
  const all = [...pattern.matchAll(token)]
  if (all.some(([part]) => unbounded.test(part))) return Number.POSITIVE_INFINITY
  const parts = all.values()
  let startsAnywhere = !pattern.startsWith('^')
  function group(isWhole: boolean): number {
    let [alternatives, before, last] = [0, 1, 1]
    for (let next = parts.next(); !next.done && next.value[0] !== ')'; next = parts.next()) {
      const [part, quantifier] = next.value
      if (quantifier !== undefined) last = repeated(last, quantifier, length)
      else if (part === '|') {
        startsAnywhere ||= isWhole
        ;[alternatives, before, last] = [alternatives + before * last, 1, 1]
      } else [before, last] = [before * last, part.startsWith('(') ? group(false) : 1]
    }
    return alternatives + before * last
  }
  return group(true) * (startsAnywhere ? length : 1)
}

function repeated(ways: number, quantifier: string, length: number): number {
  const [least = '0', most = least] = quantifier === '?' ? ['0', '1'] : (quantifier.match(/\d+|,\}|[*+]/g) ?? [])
  const max = Number(most)
  if (Number.isNaN(max)) return ways === 1 ? length + 1 : Number.POSITIVE_INFINITY
  return ways ** max * (max - Number(least) + 1)
}
