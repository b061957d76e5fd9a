import type { Module, Route } from '../wire/module.ts'

export interface FoundRoute {
  readonly module: Module
  readonly route: Route
  /** Below the plugin's prefix. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
}

/** Whose a request is. Of several that fit, the plugin with the longest prefix has it, and a route without parameters before one with. */
export function findRoute(modules: Iterable<Module>, method: string, url: string): FoundRoute | undefined {
  const [path = '', search = ''] = url.split(/\?(.*)/s)
  let best: FoundRoute | undefined
  for (const module of modules) {
    const { prefix, routes } = module
    if (routes.size === 0 || !path.startsWith(prefix) || (best && best.module.prefix.length > prefix.length)) continue
    const rest = path.slice(prefix.length) || '/'
    for (const route of routes.values()) {
      const params = matched(route.name, `${method} ${rest}`)
      if (!params || (best?.module === module && Object.keys(params).length >= Object.keys(best.params).length)) continue
      best = { module, route, path: rest, params, query: Object.fromEntries(new URLSearchParams(search)) }
    }
  }
  return best
}

/** What stands for the parameters of a route, decoded; undefined if it is another path. */
function matched(pattern: string, given: string): Record<string, string> | undefined {
  if (!pattern.includes(':')) return pattern === given ? {} : undefined
  const [wanted, parts] = [pattern.split('/'), given.split('/')]
  if (wanted.length !== parts.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, name] of wanted.entries()) {
    const part = parts[index] as string
    if (!name.startsWith(':')) {
      if (name !== part) return undefined
      continue
    }
    if (part === '') return undefined
    // Fastify has refused what cannot be decoded.
    params[name.slice(1)] = decodeURIComponent(part)
  }
  return params
}
