// Runs the tests with tap, a line for each file and every failure in full, then the coverage gate, then the counts.
// Arguments are tap's; with any (a file, say) there is no gate. In TEST_COUNTS the counts are left as JSON, for scripts/test.sh.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Parser } from 'tap-parser'
import { uncovered } from './checks/coverage.mjs'
import { root } from './checks/sources.mjs'

const args = process.argv.slice(2)
const tap = join(root, 'node_modules/.bin/tap')
const counts = { passed: 0, failed: 0, skipped: 0 }
/** What failed on the top level, files as a rule, with how many of its tests did. */
const failed = new Map()

/** Starts a program in the root with this Node first on PATH, so that everything below runs on it too. */
function start(program, programArgs, stdout) {
  const PATH = `${join(process.execPath, '..')}:${process.env.PATH}`
  return spawn(program, programArgs, { cwd: root, stdio: ['ignore', stdout, 'inherit'], env: { ...process.env, PATH } })
}
const ended = (child) => new Promise((resolve, reject) => child.on('error', reject).on('close', (code) => resolve(code ?? 1)))

/** A test is a `t.test` without tests in it. What fails outside of every test (a file that crashes or ends late) counts as one. */
function tally(parser, path) {
  const own = { tests: 0, passed: 0, failed: 0, skipped: 0, told: false, name: path.at(-1) }
  let child
  parser.on('child', (sub) => {
    own.tests++
    child = tally(sub, [...path, sub.name])
  })
  parser.on('assert', ({ ok, skip, todo, name, diag, time }) => {
    const below = child
    child = undefined
    const verdict = skip || todo ? 'skipped' : ok ? 'passed' : 'failed'
    if (below?.tests) for (const key of ['passed', 'failed', 'skipped']) own[key] += below[key]
    if (verdict === 'skipped' || (below && below.tests === 0)) own[verdict]++
    else if (below && !ok && below.failed === 0) own.failed++
    if (verdict === 'failed' && !below?.told) console.log(failure([...path, name], diag ?? {}))
    own.told ||= verdict === 'failed'
    if (path.length === 0)
      console.log(
        `${ok ? 'ok    ' : 'FAILED'} ${below?.name ?? name}: ${below?.passed ?? 0} of ${sum(below)} in ${Math.round(time ?? 0)} ms`,
      )
    if (path.length === 0) for (const key in counts) counts[key] = own[key]
    if (path.length === 0 && !ok) failed.set(below?.name ?? name, below?.failed ?? 1)
  })
  return own
}
const sum = (below) => (below === undefined ? 0 : below.passed + below.failed + below.skipped)

function failure(path, { diff, at, stack, source, ...rest }) {
  const known = ['found', 'wanted', 'message', 'code', 'exitCode', 'signal', 'expired', 'failure', 'tapError', 'reason']
  const fields = known.filter((key) => !diff && rest[key] !== undefined).map((key) => `${key}: ${JSON.stringify(rest[key])}`)
  const place = at?.fileName ? `${at.fileName}:${at.lineNumber}` : undefined
  const lines = [`not ok ${path.join(' > ')}`, place, source, diff, ...fields, stack].filter(Boolean).join('\n')
  return `\n${lines.trimEnd().replaceAll('\n', '\n    ')}\n`
}

// A new installation of tap has all its plugins built in, the TypeScript one too, which cannot work with TypeScript 7.
const built = await readFile(join(root, 'node_modules/@tapjs/test/test-built/dist/esm/index.js'), 'utf8').catch(() => '')
if (!built || built.includes('from "@tapjs/typescript"')) {
  console.log("building tap's plugins")
  if ((await ended(start(tap, ['build'], 'inherit'))) !== 0) process.exit(1)
}

/** Runs tap. Its exit code; what came of it is in `counts` and `failed`. */
async function runTap(tapArgs) {
  const child = start(tap, ['--reporter=tap', '--coverage-report=none', ...tapArgs], 'pipe')
  const parser = new Parser()
  tally(parser, [])
  child.stdout.pipe(parser)
  const code = await ended(child)
  if (code !== 0 && counts.failed === 0) counts.failed = 1
  return code
}

let status = await runTap(args)

let isCovered = true
if (args.length === 0) {
  const problems = await uncovered(join(root, '.tap/coverage'))
  for (const problem of problems) console.log(problem)
  console.log(
    problems.length === 0
      ? 'coverage: every line of core/ was run'
      : `coverage: ${problems.length} files of core/ have lines that no test runs`,
  )
  isCovered = problems.length === 0
  if (!isCovered) status ||= 1
}
// On a busy machine a few files may not get their turn in time. What failed beside others is run once more by itself, and both are told.
const again = [...failed.keys()]
if (
  process.env.PATCHBAY_TEST_AGAIN &&
  status !== 0 &&
  again.length > 0 &&
  again.length <= 3 &&
  again.every((name) => existsSync(join(root, name)))
) {
  const first = { ...counts }
  const had = [...failed.values()].reduce((sum, count) => sum + count, 0)
  failed.clear()
  console.log(`\nonce more, by themselves: ${again.join(', ')}`)
  const options = args.filter((arg) => arg.startsWith('--') && !arg.startsWith('--jobs'))
  const code = await runTap([...new Set([...options, '--jobs=1', '--disable-coverage']), ...again])
  console.log(`${had} failed beside others; by themselves ${counts.failed} did`)
  Object.assign(counts, { passed: first.passed + had - counts.failed, skipped: first.skipped })
  if (code === 0 && first.failed === had && isCovered) status = 0
  else status ||= 1
}
if (process.env.TEST_COUNTS) await writeFile(process.env.TEST_COUNTS, JSON.stringify(counts))
console.log(`tests: ${counts.passed} passed, ${counts.failed} failed${counts.skipped ? `, ${counts.skipped} skipped` : ''}`)
process.exitCode = status
