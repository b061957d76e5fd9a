// What a plugin that comes with Patchbay must have beside code that works.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { evaluateContracts } from './contracts.mjs'
import { builtinPlugins, exists, root, sources } from './sources.mjs'

/** What is missing, a line each: package fields, README, and a mention of each command and event in it, tests. */
export async function pluginProblems() {
  const problems = []
  const plugins = await builtinPlugins()
  for (const entry of await readdir(join(root, 'plugins'), { withFileTypes: true })) {
    const folder = entry.name
    if (entry.isDirectory() && !plugins.some((plugin) => plugin.folder === folder))
      problems.push(`plugins/${folder}: package.json has no "patchbay" field`)
  }
  const contracts = await evaluateContracts(plugins)
  for (const { folder, directory } of plugins) {
    const { contract } = contracts.get(join(directory, 'contract.ts'))
    const readme = join(directory, 'README.md')
    const text = (await exists(readme)) ? await readFile(readme, 'utf8') : ''
    const groups = [contract, ...Object.values(contract.namespaces ?? {})]
    const names = groups.flatMap(({ commands = {}, events = {} }) => [...Object.keys(commands), ...Object.keys(events)])
    for (const name of names) if (!named(text, name)) problems.push(`plugins/${folder}/README.md does not name \`${name}\``)
    const tests = (await sources(`plugins/${folder}/test`)).filter((file) => file.endsWith('.test.ts'))
    if (tests.length === 0) problems.push(`plugins/${folder} has no test/*.test.ts`)
  }
  return problems.join('\n')
}

const named = (text, name) => new RegExp(`(?<![\\w:-])${name}(?![\\w:-])`).test(text)
