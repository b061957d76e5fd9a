import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { provideApi } from '../../core/process/loader.ts'

/** Evaluates a module and prints the one contract it exports as JSON: a build step for plugins that write theirs in TypeScript. */
export async function contract([file]: string[]): Promise<void> {
  if (!file) throw new Error('Name the module that exports the contract.')
  provideApi(new URL('./plugin.js', import.meta.url).href)
  const exported = Object.values((await import(pathToFileURL(resolve(file)).href)) as object) as unknown[]
  const contracts = exported.filter((value) => typeof value === 'object' && value !== null && 'id' in value)
  if (contracts.length !== 1) throw new Error(`${file} exports ${contracts.length} contracts; it should export one.`)
  process.stdout.write(`${JSON.stringify(contracts[0], undefined, 2)}\n`)
}
