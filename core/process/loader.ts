import * as nodeModule from 'node:module'
import { pathToFileURL } from 'node:url'
import type { Found } from '../lifecycle/read-package.ts'
import type { Plugin } from '../plugin/context.ts'

type Resolve = (id: string, context: object, next: (id: string, context: object) => object) => object

/** Node 22.15 and newer; not in the types of Node 20. */
interface SyncHooks {
  registerHooks?(hooks: { resolve: Resolve }): void
}

/** Imports plugins' code, once in the life of the process: an ES module cannot be purged from memory. */
export class Loader {
  readonly #apiUrl: string
  readonly #loaded = new Map<string, { digest: string | undefined; plugin: Promise<Plugin> }>()
  #failedImports = 0

  /** `apiUrl`: the module that `patchbay/plugin` means wherever the importing folder lies. */
  constructor(apiUrl: string) {
    this.#apiUrl = apiUrl
  }

  /** True if other code of this package than what lies on disk now is in memory. */
  isStale({ entry, digest }: Found): boolean {
    const loaded = this.#loaded.get(entry ?? '')
    return loaded !== undefined && loaded.digest !== digest
  }

  /** The package's default export. Rejects with a sentence. */
  async load({ entry, digest, builtin }: Pick<Found, 'entry' | 'digest' | 'builtin'>): Promise<Plugin> {
    if (entry === undefined) throw new Error('it has no entry file')
    if (!builtin) provideApi(this.#apiUrl)
    const known = this.#loaded.get(entry)
    if (known) return known.plugin
    // A failed import left nothing running, but Node remembers its failure by URL.
    const url = pathToFileURL(entry)
    if (this.#failedImports > 0) url.searchParams.set('attempt', String(this.#failedImports))
    const plugin = importPlugin(url)
    this.#loaded.set(entry, { digest, plugin })
    try {
      return await plugin
    } catch (error) {
      this.#failedImports++
      this.#loaded.delete(entry)
      throw error
    }
  }
}

let isProvided = false

/** Makes `patchbay/plugin` mean the module at `url`, from wherever it is imported. Once in the life of the process. */
export function provideApi(url: string): void {
  if (isProvided) return
  isProvided = true
  const { registerHooks } = nodeModule as SyncHooks
  const resolve: Resolve = (id, context, next) => (id === 'patchbay/plugin' ? { url, shortCircuit: true } : next(id, context))
  // Older Node runs hooks in a thread of their own, which is given the function's text. One with permissions has a policy (confinement.ts).
  const text = `const url = ${JSON.stringify(url)}; export const resolve = ${resolve}`
  if (registerHooks) registerHooks({ resolve })
  else if (!process.permission) nodeModule.register(`data:text/javascript,${encodeURIComponent(text)}`)
}

async function importPlugin(url: URL): Promise<Plugin> {
  const { default: plugin } = (await import(url.href)) as { default?: Plugin }
  if (typeof plugin?.start !== 'function') throw new Error('its default export is not made by definePlugin: it has no start()')
  return plugin
}
