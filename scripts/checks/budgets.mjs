// How much code there may be. A code line is neither blank nor comment alone.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { builtinPlugins, root, sources } from './sources.mjs'

// 2,000 lines were asked for. core/README.md says why the core has more, and this keeps it from growing unnoticed.
const coreBudget = 6650
const ownBudget = ['core/testing/', 'core/process/']

/** Every budget as a row `{ what, lines, most }`, and a sentence for each that is exceeded. */
export async function budgets() {
  const core = new Map()
  for (const file of await sources('core')) core.set(file, codeLines(await readFile(join(root, file), 'utf8')))
  const sum = (belongs) => [...core].reduce((total, [file, lines]) => total + (belongs(file) ? lines : 0), 0)
  const [longest = 'core', longestLines = 0] = [...core].sort(([, a], [, b]) => b - a)[0] ?? []

  const rows = [{ what: 'core/', lines: sum((file) => !ownBudget.some((part) => file.startsWith(part))), most: coreBudget }]
  for (const part of ownBudget)
    rows.push({ what: part, lines: sum((file) => file.startsWith(part)), most: part === 'core/process/' ? 3200 : 1040 })
  rows.push({ what: `longest file: ${longest}`, lines: longestLines, most: 250 })
  for (const { folder } of await builtinPlugins()) {
    const what = `plugins/${folder}/index.ts`
    rows.push({ what, lines: codeLines(await readFile(join(root, what), 'utf8')), most: 150 })
  }
  const problems = rows
    .filter(({ lines, most }) => lines > most)
    .map(({ what, lines, most }) => `${what} has ${lines} code lines, ${most} are allowed`)
  return { rows, problems }
}

export function table(rows) {
  const width = Math.max(...rows.map(({ what }) => what.length))
  return [
    `${'code lines'.padEnd(width)}   have   most`,
    ...rows.map(({ what, lines, most }) => `${what.padEnd(width)} ${String(lines).padStart(6)} ${String(most).padStart(6)}`),
  ].join('\n')
}

function codeLines(text) {
  let inComment = false
  return text.split('\n').filter((line) => {
    const code = line.trim()
    if (!inComment && code.startsWith('/*')) inComment = true
    if (!inComment) return code !== '' && !code.startsWith('//')
    inComment = !code.includes('*/')
    return !inComment && code.slice(code.indexOf('*/') + 2).trim() !== ''
  }).length
}
