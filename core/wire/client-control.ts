import { Refusal } from '../auth/identity.ts'
import { nobody } from '../auth/session.ts'
import type { Session } from '../auth/sessions.ts'
import type { Target } from '../plugin/context.ts'
import type { Client } from './client.ts'
import type { ClientOps } from './client-operations.ts'
import type { Connections } from './connections.ts'
import { coreErrors, refuse } from './errors.ts'
import { describe, groupOn, type Hub, roomOf } from './hub.ts'
import type { Module } from './module.ts'
import type { Tokens } from './policy.ts'

const most = { rooms: 256, text: 200, asked: 64, waitMs: 600_000 }

/** The capability `clients` of one plugin. It reaches those on the plugin's own namespaces, and no others. */
export function createClientControl(parts: { hub: Hub; connections: () => Connections; module: Module }): ClientOps {
  const { hub, connections, module } = parts
  const client = (id: unknown): Client | undefined => {
    const found = hub.clients.get(text(id))
    return found && groupOn(module, found.caller.namespace) && found
  }
  const tokens = (): Tokens => {
    const known = hub.mounts.get(module.mount)?.policy.tokens
    if (!known) throw new Error('Its namespace takes no tokens.')
    return known
  }
  const bearer = (token: unknown): Promise<Session> =>
    tokens()
      .session(token)
      .catch((error: unknown) => {
        throw error instanceof Refusal ? refuse('AUTH_INVALID', error.data.reason) : error
      })
  return {
    list: async () => [...hub.clients.keys()].flatMap((id) => client(id) ?? []).map((each) => describe(module, each)),
    async get(id) {
      const found = client(id)
      return found && describe(module, found)
    },
    async join(id, room) {
      const found = client(id)
      if (!found) return false
      if (describe(module, found).rooms.length >= most.rooms) throw refuse('RATE_LIMITED', `At most ${most.rooms} rooms.`)
      await found.socket.join(roomOf(module, { room: text(room) }))
      return true
    },
    leave: async (id, room) => void client(id)?.socket.leave(roomOf(module, { room: text(room) })),
    async identify(id, token) {
      const session = await bearer(token)
      const found = client(id)
      if (!found) return undefined
      connections().become(found, session)
      return describe(module, found)
    },
    async anonymize(id) {
      const found = client(id)
      if (!found || found.isAnonymous) return
      if (groupOn(module, found.caller.namespace)?.anonymous) connections().become(found, nobody(found.address))
      else found.dismiss('SESSION_EXPIRED')
    },
    async disconnect(target) {
      const [[kind, name] = []] = Object.entries(target)
      if (kind !== 'client' && kind !== 'user' && kind !== 'room') throw new TypeError('Whom: a client, a user or a room?')
      const room = roomOf(module, { [kind]: text(name) } as Target)
      for (const { namespace } of module.groups.values()) hub.disconnect(namespace, room)
    },
    async ask(id, event, payload, timeoutMs) {
      const found = client(id)
      const asked = found && groupOn(module, found.caller.namespace)?.events.get(text(event))
      if (found && asked?.definition.to !== 'addressed') throw new Error(`"${event}" is no addressed event of its namespace.`)
      if (!found) throw refuse('TIMEOUT', 'It is not there any more.')
      if (found.asked >= most.asked) throw refuse('RATE_LIMITED', `It has ${most.asked} unanswered questions.`)
      found.asked++
      try {
        const values = payload === undefined || payload === null ? [] : [payload]
        const waitMs = Math.min(Math.max(Number(timeoutMs), 1), most.waitMs)
        return (await found.socket.timeout(waitMs).emitWithAck(event, ...values)) as unknown
      } catch {
        throw refuse('TIMEOUT', 'It did not acknowledge in time.')
      } finally {
        found.asked--
      }
    },
    issue: async (request) => tokens().issue(request),
    async verify(token) {
      const session = await bearer(token)
      return {
        userId: session.userId,
        roles: hub.mounts.get(module.mount)?.policy.rolesOf(session) ?? [],
        claims: session.claims,
      }
    },
    revoke: async (what) => tokens().revoke(what),
    tellPeers: async (value) => hub.tellPeers(module, value),
    dismiss: async (id, code, message) => client(id)?.dismiss(Object.hasOwn(coreErrors, code) ? code : 'INTERNAL', text(message)),
  }
}

function text(value: unknown): string {
  if (typeof value === 'string' && value !== '' && value.length <= most.text) return value
  throw new TypeError(`Not a text of 1 to ${most.text} characters.`)
}
