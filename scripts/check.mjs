// Checks everything that needs no running code: format, lint, types, unused code, budgets, and what every plugin must have.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { appSizeProblems } from './checks/app-size.mjs'
import { budgets, table } from './checks/budgets.mjs'
import { pluginProblems } from './checks/plugins.mjs'
import { releaseProblems } from './checks/released.mjs'
import { root } from './checks/sources.mjs'

/** Runs one of the tools in node_modules. Returns what it says if it is not content. */
function tool(name, ...args) {
  const child = spawn(join(root, 'node_modules/.bin', name), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text))
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code) => resolve(code === 0 ? '' : said || `exit code ${code}`))
  })
}

const budget = await budgets()
const steps = [
  [
    'format and lint (biome)',
    tool('biome', 'check', '--diagnostic-level=warn', '--error-on-warnings', '--max-diagnostics=50', '.'),
  ],
  ['promises, any, what is thrown (oxlint)', tool('oxlint', '--type-aware', '--deny-warnings')],
  ['types (tsc)', tool('tsc', '-p', '.')],
  ['types of the app (tsc)', tool('tsc', '-p', 'plugins/panel/app')],
  ['unused files, exports and dependencies (knip)', tool('knip', '--no-progress')],
  ['every plugin has a README, a contract and tests', pluginProblems()],
  ['nothing breaks clients of the last release', releaseProblems()],
  ['the app loads quickly', appSizeProblems()],
  ['budgets', budget.problems.join('\n')],
]

let failures = 0
for (const [name, outcome] of steps) {
  const problem = await outcome
  console.log(`${problem ? 'FAILED' : 'ok    '} ${name}`)
  if (problem) console.log(problem.trimEnd())
  failures += problem ? 1 : 0
}
console.log(`\n${table(budget.rows)}\n\n${failures === 0 ? 'all checks passed' : `${failures} of ${steps.length} checks failed`}`)
process.exitCode = failures === 0 ? 0 : 1
