// How much the app may weigh. Compressed with gzip, as a machine at home without HTTPS sends it.
import { buildPanel } from '../panel/build.mjs'

const most = { first: 120_000, panel: 25_000 }

/** Bytes of all that the first page loads before a panel, and of each piece that is loaded for one, `[path, bytes]`, the largest first. */
export async function appSize() {
  const { files, first } = await buildPanel()
  const weight = new Map(files.filter(([path]) => path.endsWith('.gz')).map(([path, body]) => [path.slice(0, -3), body.length]))
  const sum = first.reduce((all, path) => all + (weight.get(path) ?? 0), 0)
  const panels = [...weight].filter(([path]) => !first.includes(path)).sort(([, a], [, b]) => b - a)
  return { first: sum, panels, most }
}

/** A line for what is too large. */
export async function appSizeProblems() {
  const { first, panels } = await appSize()
  const problems = first > most.first ? [`the first load has ${first} bytes compressed, ${most.first} are allowed`] : []
  for (const [path, bytes] of panels)
    if (bytes > most.panel) problems.push(`${path} has ${bytes} bytes compressed, ${most.panel} are allowed`)
  return problems.join('\n')
}
