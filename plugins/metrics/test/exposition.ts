import assert from 'node:assert/strict'

/** What a scrape says: every series with its value, by name and labels as they stand there; and every family's type. */
export interface Scrape {
  readonly series: ReadonlyMap<string, number>
  readonly types: ReadonlyMap<string, string>
}

const name = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\n"])*"'
const line = new RegExp(`^(${name})(\\{${label}(?:,${label})*\\})? (\\S+)$`)
const comment = new RegExp(`^# (HELP|TYPE) (${name}) (.+)$`)
const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['_sum', '_count'],
}

/** Reads Prometheus' text format, and throws for whatever Prometheus would not take or `promtool check metrics` would not like. */
export function parse(text: string): Scrape {
  assert.ok(text.endsWith('\n'), 'the last line ends')
  const [series, types, helps] = [new Map<string, number>(), new Map<string, string>(), new Map<string, string>()]
  let family = ''
  for (const each of text.slice(0, -1).split('\n')) {
    const [, kind, about = '', said = ''] = comment.exec(each) ?? []
    if (kind) {
      const told = kind === 'HELP' ? helps : types
      assert.ok(!told.has(about), `one ${kind} for ${about}`)
      told.set(about, said)
      if (kind === 'TYPE') assert.ok(helps.has(about) && Object.hasOwn(suffixes, said), each)
      family = about
      continue
    }
    const [, metric = '', labels = '', value = ''] = line.exec(each) ?? assert.fail(`no line of the format: ${each}`)
    const type = types.get(family) ?? ''
    assert.ok(
      suffixes[type]?.some((suffix) => metric === family + suffix),
      `${each} stands below its own TYPE`,
    )
    assert.equal(type === 'counter', metric.endsWith('_total'), `${metric} is named as its type wants it`)
    assert.ok(!series.has(metric + labels), `one line for ${metric}${labels}`)
    assert.ok(Number.isFinite(Number(value)), each)
    series.set(metric + labels, Number(value))
  }
  return { series, types }
}
