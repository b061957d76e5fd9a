// The coverage gate: every line of core/ is run by some test, in the test's process or one that it starts from the sources.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Report } from 'c8'
import { transform } from 'esbuild'
import { root, sources } from './sources.mjs'

/** What no test runs, as sentences; from the raw V8 coverage files in `directory`. */
export async function uncovered(directory) {
  const report = new Report({
    tempDirectory: directory,
    include: ['core/**/*.ts'],
    reporter: [],
    resolve: '',
    excludeNodeModules: true,
  })
  const map = await report.getCoverageMapFromAllCoverageFiles()
  const problems = []
  for (const file of await sources('core')) {
    if (map.files().includes(join(root, file))) {
      const lines = map.fileCoverageFor(join(root, file)).getUncoveredLines()
      if (lines.length > 0) problems.push(`${file}: no test runs line ${ranges(lines.map(Number))}`)
    } else if (await hasCode(file)) problems.push(`${file}: no test loads it`)
  }
  return problems
}

/** False for types and re-exports alone. */
async function hasCode(file) {
  const { code } = await transform(await readFile(join(root, file), 'utf8'), {
    loader: 'ts',
    minify: true,
    tsconfigRaw: '{"compilerOptions":{"verbatimModuleSyntax":true}}',
  })
  return code.replaceAll(/export(\*|\{[^}]*\})from"[^"]*";?/g, '').trim() !== ''
}

function ranges(lines) {
  const parts = []
  for (const line of lines) {
    const last = parts.at(-1)
    if (last?.[1] === line - 1) last[1] = line
    else parts.push([line, line])
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}
