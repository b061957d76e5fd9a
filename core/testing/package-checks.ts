import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contract, ContractGroup } from '../plugin/contract.ts'
import { coreErrors } from '../wire/errors.ts'

/** Where a route is: `GET /` of the plugin `metrics` is `/metrics`. */
export function routePath(id: string, route: string): string {
  const path = route.slice(route.indexOf('/'))
  return path === '/' ? `/${id}` : `/${id}${path}`
}

/** All roles that a contract behind tokens knows. */
export function rolesIn(contract: Contract): string[] {
  const groups: ContractGroup[] = [contract, ...Object.values(contract.namespaces ?? {})]
  const all = [...groups.flatMap(({ commands = {} }) => Object.values(commands)), ...Object.values(contract.routes ?? {})]
  return [...new Set(all.flatMap(({ roles = [] }) => roles))].filter((role) => role !== '*')
}

/** What a README must name as `code`: commands, events, error codes, and where the routes are. */
export function unnamedInReadme(contract: Contract, readme: string): string[] {
  const groups: ContractGroup[] = [contract, ...Object.values(contract.namespaces ?? {})]
  const names = groups.flatMap(({ commands = {}, events = {} }) => [...Object.keys(commands), ...Object.keys(events)])
  const missing = [...names, ...Object.keys(contract.errors ?? {})].filter((name) => !readme.includes(`\`${name}\``))
  // With the address in front of it, or what stands behind a ?, it is named too.
  const unrouted = Object.keys(contract.routes ?? {}).filter((route) => {
    const path = routePath(contract.id, route).replaceAll(/[^\w/:-]/g, '\\$&')
    return !new RegExp(`\`[^\`\\s]*([A-Z]+ )?${path}(\\?[^\`]*)?\``).test(readme)
  })
  return [...missing, ...unrouted.map((route) => routePath(contract.id, route))]
}

/** Codes that the code of a package hands out by name and the contract does not declare. */
export async function undeclaredCodes(dir: string, { id, errors = {} }: Contract): Promise<string[]> {
  const own = `${id.toUpperCase().replaceAll('-', '_')}_`
  const found = new Set<string>()
  for (const file of await scripts(dir)) {
    const text = await readFile(file, 'utf8')
    for (const [, , code = ''] of text.matchAll(/\.(?:error|publishError)\(\s*(['"`])([A-Z][A-Z0-9_]+)\1/g)) found.add(code)
    // A driver's errors carry the code that is told. What has another beginning is a code of the system, such as ENOENT.
    for (const [, , code = ''] of text.matchAll(/\bcode\s*[:=]\s*(['"`])([A-Z][A-Z0-9_]+)\1/g))
      if (code.startsWith(own)) found.add(code)
  }
  return [...found].filter((code) => !Object.hasOwn(errors, code) && !Object.hasOwn(coreErrors, code)).sort()
}

/** Its files of JavaScript; what it depends on speaks for itself. */
async function scripts(dir: string): Promise<string[]> {
  const entries = (await readdir(dir, { withFileTypes: true })).filter(({ name }) => name !== 'node_modules')
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => scripts(join(dir, name)))
  const here = entries.filter((entry) => entry.isFile() && /\.[cm]?js$/.test(entry.name)).map(({ name }) => join(dir, name))
  return [...here, ...(await Promise.all(below)).flat()]
}
