// How much the app may weigh. Compressed with gzip, as a machine at home without HTTPS sends it.
import { buildPanel } from '../panel/build.mjs'

const most = { first: 120_000, panel: 25_000 }

/** A line for what is too large: all that the first page loads before a panel, and each piece that is loaded for one. */
export async function appSizeProblems() {
  const { files, first } = await buildPanel()
  const weight = new Map(files.filter(([path]) => path.endsWith('.gz')).map(([path, body]) => [path.slice(0, -3), body.length]))
  const sum = first.reduce((all, path) => all + (weight.get(path) ?? 0), 0)
  const problems = sum > most.first ? [`the first load has ${sum} bytes compressed, ${most.first} are allowed`] : []
  for (const [path, bytes] of weight)
    if (!first.includes(path) && bytes > most.panel)
      problems.push(`${path} has ${bytes} bytes compressed, ${most.panel} are allowed`)
  return problems.join('\n')
}
