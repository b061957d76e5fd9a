import type { RouteRequest, RouteResponse } from '../plugin/context.ts'
import { refuse } from '../wire/errors.ts'
import type { Route } from '../wire/module.ts'

/** Validates what a request carries, lets the plugin answer it, and in development looks at the answer. */
export async function answer(
  { name, checks }: Route,
  request: RouteRequest,
  handler: NonNullable<Route['handler']>,
  development: boolean,
): Promise<RouteResponse> {
  const fit = (kind: 'params' | 'query') => {
    const { value, problem } = checks[kind]?.(request[kind] as object) ?? { value: request[kind] }
    if (problem) throw refuse('INVALID_PAYLOAD', `${kind}: ${problem}.`)
    return value
  }
  const [params, query] = [fit('params'), fit('query')]
  const problem = checks.body(request.body)
  if (problem) throw refuse('INVALID_PAYLOAD', `body: ${problem}.`)
  const response = await handler({ ...request, params, query })
  const misfit = development && 'json' in response && (response.status ?? 200) < 400 ? checks.result?.(response.json) : undefined
  if (misfit) throw new Error(`${name} answered what its contract does not say: ${misfit}`)
  return response
}
