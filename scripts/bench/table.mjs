/** The middle one; of an even number the mean of the two. */
export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The value below which a share of the numbers lies. */
function quantile(numbers, share) {
  return numbers.toSorted((a, b) => a - b)[Math.round((numbers.length - 1) * share)]
}

/**
 * A row from rounds of `{ ours, bare }`. `limit` is the highest ratio the issue allows; without one the row only informs.
 */
export function pair(what, unit, rounds, limit) {
  const ratios = rounds.map(({ ours, bare }) => ours / bare)
  const [ours, bare] = ['ours', 'bare'].map((side) => median(rounds.map((round) => round[side])))
  return {
    what,
    unit,
    ours,
    bare,
    ratio: median(ratios),
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    limit,
    rounds,
  }
}

/** A row whose target is an absolute figure of ours. */
export function absolute(what, unit, ours, limit, bare) {
  return { what, unit, ours, bare, limit, isAbsolute: true }
}

/** All rows, aligned. */
export function table(rows) {
  const figure = (value, unit) => (value === undefined ? '' : `${Number(value.toPrecision(3))} ${unit}`)
  const lines = rows.map(({ what, unit, ours, bare, ratio, spread, limit, isAbsolute }) => [
    what,
    figure(ours, unit),
    figure(bare, unit),
    ratio === undefined ? '' : `${ratio.toFixed(2)} (${spread.map((value) => value.toFixed(2)).join('-')})`,
    limit === undefined ? '' : isAbsolute ? `< ${limit} ${unit}` : `<= ${limit.toFixed(2)}`,
    limit === undefined ? '' : (isAbsolute ? ours < limit : ratio <= limit) ? 'met' : 'MISSED',
  ])
  const all = [['what', 'ours', 'bare', 'ratio (quartiles)', 'target', 'verdict'], ...lines]
  const widths = all[0].map((_, column) => Math.max(...all.map((line) => line[column].length)))
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
