import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { provideApi } from '../../core/process/loader.ts'
import type { Installation } from './main.ts'

/** Evaluates a module and prints the one contract, or the contract of the one plugin, that it exports: a build step for plugins in TypeScript. */
export async function contract([file]: string[], { root }: Installation): Promise<void> {
  if (!file) throw new Error('Name the module that exports the contract.')
  process.stdout.write(await contractText(file, root))
}

/** The content of contract.json. `query` tells one version of the module from another that this process has imported. */
export async function contractText(file: string, root: string, query = ''): Promise<string> {
  provideApi(pathToFileURL(join(root, 'dist/plugin.js')).href)
  const exported = Object.values((await import(`${pathToFileURL(resolve(file)).href}${query}`)) as object) as unknown[]
  const contracts = new Set(exported.flatMap(contractOf))
  if (contracts.size !== 1) throw new Error(`${file} exports ${contracts.size} contracts; it should export one.`)
  return `${JSON.stringify([...contracts][0], undefined, 2)}\n`
}

function contractOf(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return []
  if ('contract' in value) return contractOf(value.contract)
  return 'id' in value ? [value] : []
}
