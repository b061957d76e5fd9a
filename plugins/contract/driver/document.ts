import type { CoreContract, MountedContract } from '../../../core/plugin/host-control.ts'
import { about, extensions, handshake } from './about.ts'
import { channelsAndOperations } from './channels.ts'
import { byNamespace, compare, sorted } from './groups.ts'

/** An AsyncAPI 3.0 document: JSON. */
export type AsyncApi = Readonly<Record<string, unknown>>

/**
 * The AsyncAPI 3.0 document of everything that is mounted, whatever state it is in. Made of contracts alone: it holds no
 * setting but `simulated`, no address and no user. The same contracts give the same document.
 */
export function asyncApi(contracts: readonly MountedContract[], core: CoreContract, version: string): AsyncApi {
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Patchbay',
      version,
      description: about,
      'x-patchbay-extensions': extensions,
      'x-patchbay-handshake': handshake,
      'x-patchbay-errors': Object.fromEntries(sorted(core.errors)),
      'x-patchbay-modules': Object.fromEntries(
        [...contracts].sort((a, b) => compare(a.id, b.id)).map((mounted) => [mounted.id, describe(mounted)]),
      ),
    },
    defaultContentType: 'application/json',
    servers: {
      patchbay: {
        host: '{address}',
        pathname: '/socket.io/',
        protocol: 'ws',
        description: 'Socket.IO 4 (Engine.IO 4), over WebSocket or HTTP polling.',
        variables: { address: { default: '127.0.0.1:8080', description: 'Where this daemon is reached.' } },
        security: [{ $ref: '#/components/securitySchemes/sessionToken' }, { $ref: '#/components/securitySchemes/initData' }],
      },
    },
    ...channelsAndOperations(byNamespace(contracts, core)),
    components: {
      schemas: { failure },
      securitySchemes: {
        sessionToken: { type: 'apiKey', in: 'password', description: 'As `auth.sessionToken` of the Socket.IO handshake.' },
        initData: {
          type: 'apiKey',
          in: 'password',
          description: "Telegram's signed init data, as `auth.initData` of the handshake.",
        },
      },
    },
  }
}

/** What every command that fails is answered with. */
const failure = {
  type: 'object',
  description: 'The command failed. The same comes on the `error` channel, with the same id.',
  properties: {
    success: { const: false },
    code: { type: 'string', description: "One of the core's error codes or of the module's own." },
    error: { type: 'string', description: 'A sentence for people.' },
    id: { type: 'string', description: 'Names this failure.' },
    retryAfter: { type: 'number', description: 'Seconds.' },
  },
  required: ['success', 'code', 'error', 'id'],
}

function describe({ version, builtin, state, simulated, namespace, policy, contract }: MountedContract): object {
  const { description, subscribeRole = 'viewer', routes, errors } = contract
  const routeEntries = sorted(routes).map(([name, { role = 'owner', token = false, ...rest }]) => [
    name,
    { path: pathOf(contract.id, name), ...rest, role, token },
  ])
  return {
    ...(description !== undefined && { description }),
    version,
    builtin,
    state,
    ...(simulated && { simulated }),
    namespace,
    policy,
    subscribeRole,
    errors: Object.fromEntries(sorted(errors)),
    routes: Object.fromEntries(routeEntries),
  }
}

/** Where an HTTP route of a module is: `GET /html` of `contract` is `/contract/html`. */
export function pathOf(id: string, route: string): string {
  return `/${id}${route.replace(/^\S+ /, '').replace(/^\/$/, '')}`
}
