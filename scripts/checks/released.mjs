// Compares the contracts of today with the document of the last release: what a client of the release would notice.
// node scripts/checks/released.mjs [FILE]            compares
// node scripts/checks/released.mjs --accept [FILE]   makes today's document the one of the release
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { evaluateContracts } from './contracts.mjs'
import { builtinPlugins, root } from './sources.mjs'
import '../strip-types.mjs'

const kept = join(root, 'plugins/contract/released.json')

/** The document of today's built-in plugins, all of them running. */
async function documentOfToday() {
  const { asyncApi } = await import('../../plugins/contract/driver/document.ts')
  const { coreContract } = await import('../../core/wire/core-contract.ts')
  const plugins = await builtinPlugins()
  const evaluated = await evaluateContracts(plugins)
  const contracts = plugins.map(({ directory, manifest }) => {
    const { contract } = evaluated.get(join(directory, 'contract.ts'))
    const { id, policy = 'patchbay' } = contract
    return {
      id,
      state: 'running',
      version: manifest.version,
      builtin: true,
      namespace: policy === 'patchbay' ? '/' : `/${id}`,
      policy,
      contract,
    }
  })
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  return asyncApi(contracts, coreContract, version)
}

/** What would break as `problem`, empty if nothing does or this is another major version; and what is only tighter. */
export async function sinceRelease(file = kept) {
  const { documentChanges } = await import('./released/document-break.ts')
  const [before, after] = [JSON.parse(await readFile(file, 'utf8')), await documentOfToday()]
  const { breaks, notices } = documentChanges(before, after)
  const [was, is] = [before.info.version, after.info.version]
  const isAllowed = Number.parseInt(is, 10) > Number.parseInt(was, 10)
  const advice = `A client of ${was} would notice. Undo it, or raise the major version in package.json.`
  const problem = breaks.length > 0 && !isAllowed ? [...breaks, advice].join('\n') : ''
  return { problem, notes: [...(isAllowed ? breaks : []), ...notices] }
}

/** For the checks: the problem alone. What is only worth a look is printed. */
export async function releaseProblems() {
  const { problem, notes } = await sinceRelease()
  for (const note of notes) console.log(`note   since the last release: ${note}`)
  return problem
}

async function main() {
  const { values, positionals } = parseArgs({ options: { accept: { type: 'boolean' } }, allowPositionals: true })
  const [file = kept] = positionals
  if (values.accept) {
    await writeFile(file, `${JSON.stringify(await documentOfToday(), undefined, 2)}\n`)
    if (file === kept) await promisify(execFile)(join(root, 'node_modules/.bin/biome'), ['format', '--write', file])
    console.log(`${file} is the document of today.`)
    return
  }
  const { problem, notes } = await sinceRelease(file)
  for (const line of notes) console.log(`note: ${line}`)
  console.log(problem || 'Nothing that a client of the last release would notice.')
  process.exitCode = problem ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
