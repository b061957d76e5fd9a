import { createHmac } from 'node:crypto'
import type { IceServer } from 'node-datachannel'

/** STUN and TURN servers, as an owner names them. */
export interface ServerSettings {
  /** Such as `stun:192.0.2.1:3478`. */
  readonly stun: readonly string[]
  /** Such as `turn:192.0.2.1:3478`. */
  readonly turn: readonly string[]
  /** What the TURN servers share with Patchbay (`static-auth-secret` of coturn). */
  readonly turnSecret: string
  /** Seconds that a user's password is good for; at most an hour. */
  readonly turnSeconds: number
}

/** A member of `iceServers` of an RTCConfiguration. */
export interface ClientServer {
  readonly urls: string[]
  readonly username?: string
  readonly credential?: string
}

/** Password and name of a user for TURN, good until `username` says (draft-uberti-behave-turn-rest). `now`: milliseconds since the epoch. */
function passwordFor(user: string, { turnSecret, turnSeconds }: ServerSettings, now: number) {
  const username = `${Math.floor(now / 1000) + Math.min(turnSeconds, 3600)}:${user.replaceAll(/[^\w.@-]/g, '_')}`
  return { username, credential: createHmac('sha1', turnSecret).update(username).digest('base64') }
}

/** What a viewer's browser is given. */
export function clientServers(user: string, settings: ServerSettings, now = Date.now()): ClientServer[] {
  const { stun, turn } = settings
  return [
    ...(stun.length > 0 ? [{ urls: [...stun] }] : []),
    ...(turn.length > 0 ? [{ urls: [...turn], ...passwordFor(user, settings, now) }] : []),
  ]
}

/** The same for this machine. */
export function ownServers(settings: ServerSettings, now = Date.now()): IceServer[] {
  const { username, credential: password } = passwordFor('patchbay', settings, now)
  return [
    ...settings.stun.map(parse),
    ...settings.turn.map((url) => ({ ...parse(url), username, password, relayType: 'TurnUdp' as const })),
  ]
}

function parse(url: string): { hostname: string; port: number } {
  const [, hostname = '', port = '3478'] = /^(?:stun|turn):(\[[^\]]+\]|[^:?]+)(?::(\d+))?/.exec(url) ?? []
  return { hostname: hostname.replaceAll(/[[\]]/g, ''), port: Number(port) }
}
