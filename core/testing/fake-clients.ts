import type { ConnectedClient } from '../plugin/capabilities.ts'
import type { Target } from '../plugin/context.ts'
import type { ClientOps } from '../wire/client-operations.ts'
import { refuse } from '../wire/errors.ts'
import type { Audience } from '../wire/module.ts'

/** The clients of a test context. Who is there, their rooms and the plugin's tokens are really kept; nothing else of a host is there. */
export interface FakeClients {
  /** One connects, by default as nobody. Resolves when the plugin's `onConnect` has done its work; then it may be gone again. */
  connect(client?: Partial<ConnectedClient>): Promise<ConnectedClient>
  /** It leaves, by itself. */
  leave(clientId: string): void
  /** The same plugin says something on another host. */
  hear(value: unknown): void
  /** What the plugin told its like on other hosts, in order. */
  readonly told: readonly unknown[]
  /** Whom the plugin, or a failure of it, closed, in order. */
  readonly closed: readonly string[]
  /** Whom an event to this target reaches now. */
  reachedBy(target: Target): string[]
  /** @internal For the test context: what the plugin may do. */
  readonly operations: ClientOps
  /** @internal Whom to tell of what comes and goes. */
  bind(audience: () => Audience | undefined): void
}

/** Makes them. `answer` is what a client acknowledges when the plugin asks it; undefined stands for no answer. */
export function fakeClients(
  answer: (clientId: string, event: string, payload: unknown) => unknown = () => undefined,
): FakeClients {
  const here = new Map<string, ConnectedClient>()
  const tokens = new Map<string, Pick<ConnectedClient, 'userId' | 'roles' | 'claims'>>()
  const [told, closed]: [unknown[], string[]] = [[], []]
  let last = 0
  let plugin: () => Audience | undefined = () => undefined
  const nobody = { userId: 'anonymous:127.0.0.1', roles: [], claims: {}, isAnonymous: true }
  const place = { group: '', address: '127.0.0.1', auth: {}, connectedAt: 0, rooms: [], isKnown: false }
  const change = (id: string, to: (known: ConnectedClient) => Partial<ConnectedClient>) => {
    const known = here.get(id)
    if (known) here.set(id, { ...known, ...to(known) })
    return here.get(id)
  }
  const leave = (id: string) => void (here.delete(id) && plugin()?.left(id))
  const close = (id: string) => {
    closed.push(id)
    leave(id)
  }
  const reachedBy = (target: Target) => {
    const isMeant = ({ clientId, userId, rooms }: ConnectedClient) =>
      'room' in target ? rooms.includes(target.room) : [clientId, userId].includes(Object.values(target)[0] as string)
    return [...here.values()].filter(isMeant).map(({ clientId }) => clientId)
  }
  const bearer = (token: string) => {
    const known = tokens.get(token)
    if (!known) throw refuse('AUTH_INVALID')
    return known
  }
  const operations: ClientOps = {
    list: async () => [...here.values()],
    get: async (id) => here.get(id),
    join: async (id, room) => Boolean(change(id, ({ rooms }) => ({ rooms: [...new Set([...rooms, room])] }))),
    leave: async (id, room) => void change(id, ({ rooms }) => ({ rooms: rooms.filter((each) => each !== room) })),
    identify: async (id, token) => change(id, () => ({ ...bearer(token), isAnonymous: false })),
    anonymize: async (id) => void change(id, () => nobody),
    disconnect: async (target) => reachedBy(target).forEach(close),
    async ask(id, event, payload) {
      const said = here.has(id) ? await answer(id, event, payload) : undefined
      return said ?? Promise.reject(refuse('TIMEOUT'))
    },
    async issue({ subject, roles, claims, lifetimeS }) {
      const [token, jti] = [`token${++last}`, `jti${last}`]
      tokens.set(token, { userId: `jwt:${subject}`, roles, claims: { ...claims, sub: subject, jti } })
      return { token, jti, expiresAt: Date.now() + lifetimeS * 1000 }
    },
    verify: async (token) => bearer(token),
    async revoke(what) {
      const isBad = ({ claims }: Pick<ConnectedClient, 'claims'>) =>
        'jti' in what ? claims.jti === what.jti : claims.sub === what.subject
      for (const [token, known] of tokens) if (isBad(known)) tokens.delete(token)
      for (const client of here.values()) if (isBad(client)) close(client.clientId)
    },
    tellPeers: async (value) => void told.push(value),
    dismiss: async (id) => close(id),
  }
  return {
    told,
    closed,
    leave,
    reachedBy,
    operations,
    hear: (value) => plugin()?.told?.(value),
    bind(audience) {
      plugin = audience
      for (const client of here.values()) void plugin()?.connected?.(client)
    },
    async connect(given = {}) {
      const clientId = given.clientId ?? `client${++last}`
      const client = { ...nobody, ...place, isAnonymous: !given.userId, ...given, clientId }
      here.set(clientId, client)
      await plugin()?.connected?.(client)
      return here.get(clientId) ?? client
    },
  }
}
