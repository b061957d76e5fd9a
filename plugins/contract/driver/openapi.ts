import type { RouteDefinition } from '../../../core/plugin/contract.ts'
import type { MountedContract } from '../../../core/plugin/host-control.ts'
import { compare, sorted } from './groups.ts'
import { expand, isObject, propertiesOf, requiredOf } from './schema.ts'

const media = 'application/json'
const failure = {
  description: 'Refused.',
  content: { [media]: { schema: { $ref: '#/components/schemas/failure' } } },
}

/** The OpenAPI 3.1 document of the plugins' HTTP routes, in whatever state they are. Made of contracts alone. */
export function openApi(contracts: readonly MountedContract[], version: string): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, object>> = {}
  for (const mounted of [...contracts].sort((a, b) => compare(a.id, b.id)))
    for (const [name, definition] of sorted(mounted.contract.routes ?? {})) {
      const [method = '', path = ''] = name.split(' ')
      const place = `${prefixOf(mounted)}${path === '/' ? '' : path}`.replaceAll(/:([\w.-]+)/g, '{$1}') || '/'
      paths[place] = { ...paths[place], [method.toLowerCase()]: operation(mounted, name, definition) }
    }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Patchbay',
      version,
      description:
        'The HTTP routes of plugins. `x-patchbay-role` is the weakest built-in role that may ask, `x-patchbay-roles` are those of a token of which one will do (`*`: any token).',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: {
        failure: {
          type: 'object',
          properties: {
            success: { const: false },
            code: { type: 'string', description: 'For programs.' },
            error: { type: 'string', description: 'For people.' },
          },
          required: ['success', 'error'],
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A session token; where the policy is jwt, a JSON Web Token.' },
      },
    },
  }
}

/** Where a plugin's routes begin. */
function prefixOf({ id, policy, namespace }: MountedContract): string {
  return policy === 'patchbay' ? `/${id}` : namespace.replace(/^\/$/, '')
}

function operation({ id, policy }: MountedContract, name: string, definition: RouteDefinition): object {
  const { description, role = 'owner', roles, anonymous, params, query, body, result, rate } = definition
  const parameters = [...parametersOf('path', params), ...parametersOf('query', query)]
  const isGated = policy !== 'patchbay'
  return {
    operationId: `${id}.${name.replaceAll(/[^\w]+/g, '.')}`,
    tags: [id],
    ...(description !== undefined && { description }),
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: { required: true, content: { [media]: { schema: expand(body) } } } }),
    responses: {
      '2XX': { description: 'Done.', ...(result !== undefined && { content: { [media]: { schema: expand(result) } } }) },
      default: failure,
    },
    // An empty requirement: nobody has to be known.
    security: [{ bearer: [] }, ...(anonymous ? [{}] : [])],
    ...(isGated ? roles && { 'x-patchbay-roles': roles } : { 'x-patchbay-role': role }),
    ...(rate && { 'x-patchbay-rate': rate }),
  }
}

function parametersOf(place: 'path' | 'query', schema: object | undefined): object[] {
  if (schema === undefined) return []
  const whole = expand(schema)
  const required = requiredOf(whole)
  return Object.entries(propertiesOf(whole)).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: isObject(property) ? property : {},
  }))
}
