// Contracts as data: what `contract.ts` of a built-in plugin evaluates to.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { build } from 'esbuild'
import { cache, root } from './sources.mjs'

/** How everything is bundled. */
export const bundling = {
  absWorkingDir: root,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  mainFields: ['module', 'main'], // the UMD main of jsonc-parser cannot be bundled
  alias: { 'patchbay/plugin': './core/plugin/index.ts', 'patchbay/testing': './core/testing/index.ts' },
  logLevel: 'warning',
}

/**
 * Runs every plugin's `contract.ts`. Returns, by its path, all its exports as `values` and the contract among them as `contract`.
 * Fails on a value that JSON would not hold.
 */
export async function evaluateContracts(plugins) {
  await mkdir(cache, { recursive: true })
  const outdir = await mkdtemp(join(cache, 'contracts-'))
  try {
    const entryPoints = plugins.map(({ folder, directory }) => ({ in: join(directory, 'contract.ts'), out: folder }))
    await build({ ...bundling, entryPoints, outdir, outExtension: { '.js': '.mjs' }, packages: 'external' })
    const contracts = new Map()
    for (const { folder, directory } of plugins) {
      const exported = { ...(await import(pathToFileURL(join(outdir, `${folder}.mjs`)).href)) }
      const values = JSON.parse(JSON.stringify(exported))
      if (!isDeepStrictEqual(values, structuredClone(exported)))
        throw new Error(`plugins/${folder}/contract.ts exports what JSON cannot hold.`)
      const [contract, ...others] = Object.values(values).filter((value) => typeof value?.id === 'string')
      if (!contract || others.length > 0) throw new Error(`plugins/${folder}/contract.ts must export one contract.`)
      if (contract.id !== folder) throw new Error(`plugins/${folder}/contract.ts has the id ${contract.id}: name the folder so.`)
      contracts.set(join(directory, 'contract.ts'), { values, contract })
    }
    return contracts
  } finally {
    await rm(outdir, { recursive: true })
  }
}
