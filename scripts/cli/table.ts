import { styleText } from 'node:util'
import { printable } from '../../core/log.ts'

type Colour = 'green' | 'yellow' | 'red' | 'dim'

const leastLast = 30

/**
 * Columns as wide as their widest text; the last one is broken between words at the width of the terminal, or at 80. Texts
 * may be anybody's: nothing in them steers the terminal. A row that is a string stands on a line of its own and is not broken. `paint` may colour the text of a column, not the last.
 */
export function table(rows: ReadonlyArray<readonly string[] | string>, paint = (text: string) => text): string {
  const width = process.stdout.columns || 80
  const cells = rows.map((row) => (typeof row === 'string' ? printable(row) : row.map(printable)))
  const columns = cells.filter((row) => typeof row !== 'string')
  const widths = (columns[0] ?? []).slice(0, -1).map((_, index) => Math.max(...columns.map((row) => row[index]?.length ?? 0)))
  const indent = widths.reduce((sum, each) => sum + each + 2, 0)
  const lines = cells.flatMap((row) => {
    if (typeof row === 'string') return row
    const start = widths.map((each, index) => paint(row[index] ?? '') + ' '.repeat(each + 2 - (row[index] ?? '').length)).join('')
    const [first = '', ...more] = wrap(row.at(-1) ?? '', Math.max(leastLast, width - indent))
    return [(start + first).trimEnd(), ...more.map((line) => ' '.repeat(indent) + line)]
  })
  return lines.map((line) => `${line}\n`).join('')
}

function wrap(text: string, width: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) as string
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** The same text, in colour where a person reads it on a terminal that has it. */
export function coloured(text: string, colour: Colour): string {
  return process.stdout.isTTY && !process.env.NO_COLOR ? styleText(colour, text) : text
}

/** When something was, as a person says it: `now`, `5 min ago`. */
export function ago(at: number, now = Date.now()): string {
  const minutes = Math.floor((now - at) / 60_000)
  if (minutes < 1) return 'now'
  if (minutes < 120) return `${minutes} min ago`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`
}
