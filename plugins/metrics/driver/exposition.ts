/** One figure. `suffix` is what a histogram or summary appends to the family's name. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string>>
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly value: number
}

/** A metric with all its series. */
export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly help: string
  readonly samples: readonly Sample[]
}

/** Prometheus' text format, https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Families as text. One without samples is still named, so that a person sees what there could be. */
export function expose(families: readonly Family[]): string {
  let text = ''
  for (const { name, type, help, samples } of families) {
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`
    for (const { labels, suffix = '', value } of samples) text += `${name}${suffix}${labelsOf(labels)} ${value}\n`
  }
  return text
}

/** A family with one figure and no labels. */
export function single(name: string, type: 'counter' | 'gauge', help: string, value: number): Family {
  return { name, type, help, samples: [{ value }] }
}

function labelsOf(labels: Readonly<Record<string, string>> | undefined): string {
  if (!labels) return ''
  let text = ''
  for (const name in labels) text += `${text && ','}${name}="${escapeLabel(labels[name] as string)}"`
  return `{${text}}`
}

const escapeHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
const special = /[\\\n"]/
const escapeLabel = (text: string) => (special.test(text) ? escapeHelp(text).replaceAll('"', '\\"') : text)
