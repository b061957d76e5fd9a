import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { JWTPayload } from 'jose'
import type { AuthConfig } from '../config/types.ts'
import type { Guard } from '../http/guard.ts'
import { bearerOf, cookieNamed } from '../http/identify.ts'
import type { Log } from '../plugin/context.ts'
import type { Admission, Handshake, Policy, Requester, Tokens } from '../wire/policy.ts'
import { Refusal } from './identity.ts'
import { configuredTrust, ownIssuer, ownKey, type Trust } from './jwt-keys.ts'
import { Revocations, type SharedRevocations } from './revocations.ts'
import { bearer, nobody, type Session } from './session.ts'

export interface JwtPolicyParts {
  /** The plugin whose tokens these are; the audience of Patchbay's own. */
  readonly id: string
  /** `auth` of this plugin in plugins.json. */
  readonly config: () => AuthConfig
  readonly dataDir: string
  readonly guard: Guard
  readonly log: Log
  /** These sessions have ended. */
  readonly onEnd: (hasEnded: (session: Session) => boolean) => void
  /** What several hosts keep of this plugin, and how the others hear that there is more of it. */
  readonly shared?: SharedRevocations | undefined
  readonly tellOthers: (id: string) => void
}

const most = { characters: 8192, lifetimeS: 20 * 365 * 86_400, claims: 4096 }
/** Seconds that the clock of an issuer may differ. */
const tolerance = 5

/**
 * JSON Web Tokens: of the issuer that the configuration names, with its keys, algorithms and audience, and of Patchbay itself. Which of the
 * two a token claims to be from only chooses by which it is judged. What a token says about keys (`jku`, `x5u`, `jwk`) is not looked at.
 */
export class JwtPolicy implements Policy {
  readonly name = 'jwt'
  readonly subscriptions = false
  readonly #parts: JwtPolicyParts
  readonly #revocations: Revocations
  /** Of its tokens, as long as anybody holds them. */
  readonly #mine = new WeakSet<Session>()
  #config: AuthConfig
  #configured: Promise<Trust | undefined> | undefined

  constructor(parts: JwtPolicyParts) {
    this.#parts = parts
    this.#config = parts.config()
    this.#revocations = new Revocations(this.#place('revoked.json'), parts.shared)
  }

  async admit({ auth, address, request, anonymous, checkRoom }: Handshake): Promise<Admission> {
    const said = typeof auth === 'object' && auth !== null && 'token' in auth ? auth.token : undefined
    const token = said ?? this.#tokenOf(request)
    try {
      if (token === undefined || token === null)
        throw new Refusal('AUTH_REQUIRED', 'Send a token: as auth.token, or in the Authorization header.')
      const session = await this.#session(token)
      checkRoom(session.userId)
      return { session, roles: this.rolesOf(session) }
    } catch (error) {
      if (!(error instanceof Refusal) || !anonymous || error.code === 'ACCESS_DENIED') throw error
      return { session: nobody(address), roles: [], ...(error.code === 'AUTH_INVALID' && { refusal: error }) }
    }
  }

  rolesOf({ claims }: Session): readonly string[] {
    const { rolesClaim = 'role' } = this.#config
    const said: unknown = Object.hasOwn(claims, rolesClaim) ? claims[rolesClaim] : []
    return [said].flat().filter((role): role is string => typeof role === 'string' && role !== '*')
  }

  async recognize(request: IncomingMessage): Promise<Requester | undefined> {
    const token = this.#tokenOf(request)
    if (token === undefined) return undefined
    const session = await this.#session(token)
    return { userId: session.userId, roles: this.rolesOf(session), claims: session.claims }
  }

  readonly tokens: Tokens = {
    session: (token) => this.#session(token),
    isRevoked: ({ claims }) => this.#revocations.has(claims),
    issue: async ({ subject, roles, claims = {}, lifetimeS }) => {
      if (typeof subject !== 'string' || !/^\S{1,200}$/.test(subject)) throw new TypeError('A subject is a text without spaces.')
      if (!(lifetimeS >= 1 && lifetimeS <= most.lifetimeS)) throw new TypeError(`A lifetime is 1 to ${most.lifetimeS} seconds.`)
      if (JSON.stringify(claims).length > most.claims) throw new TypeError(`Claims have at most ${most.claims} characters.`)
      const { SignJWT } = await import('jose')
      const key = await this.#ownKey(true)
      const [now, jti] = [Date.now() / 1000, randomUUID()]
      const role = roles.length === 1 ? roles[0] : [...roles]
      const token = await new SignJWT({ ...claims, [this.#config.rolesClaim ?? 'role']: role })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setIssuer(ownIssuer)
        .setAudience(this.#parts.id)
        .setSubject(subject)
        .setJti(jti)
        // To the millisecond, so that what is issued right after a revocation is good.
        .setIssuedAt(now)
        .setExpirationTime(Math.floor(now + lifetimeS))
        .sign(key as Uint8Array)
      return { token, jti, expiresAt: Math.floor(now + lifetimeS) * 1000 }
    },
    revoke: async (what) => {
      await mkdir(this.#place(''), { recursive: true, mode: 0o700 })
      const now = Date.now() / 1000
      // How long a token of another issuer would be good is not known here.
      const added =
        'jti' in what
          ? this.#revocations.add(`jti ${what.jti}`, now + most.lifetimeS)
          : this.#revocations.add(`sub ${what.subject}`, now)
      await added.finally(() => {
        this.#endRevoked()
        this.#parts.tellOthers(this.#parts.id)
      })
    },
  }

  /** Another host revoked something. Resolves when whoever has it here is closed. */
  async told(): Promise<void> {
    this.#revocations.outdate()
    await this.#revocations.load().then(
      () => this.#endRevoked(),
      (err: unknown) => this.#parts.log.error({ err }, 'what another host revoked cannot be read; nobody is let in until it can'),
    )
  }

  #endRevoked(): void {
    this.#parts.onEnd((session) => this.#mine.has(session) && this.#revocations.has(session.claims))
  }

  /** The configuration changed: with other keys, nobody is known any more. */
  review(): void {
    const config = this.#parts.config()
    if (isDeepStrictEqual(config, this.#config)) return
    this.#config = config
    this.#configured = undefined
    this.#parts.onEnd((session) => this.#mine.has(session))
  }

  #tokenOf(request: IncomingMessage): string | undefined {
    const { cookie } = this.#config
    const bearerToken = bearerOf(request)
    if (bearerToken !== undefined || cookie === undefined) return bearerToken
    // A browser sends a cookie along whichever page asks: it counts for pages of this host and of those it names.
    const { origin, 'sec-fetch-site': site } = request.headers
    const isOurs = origin === undefined ? site === 'same-origin' : this.#parts.guard.knowsPage(request)
    return isOurs ? cookieNamed(request, cookie) : undefined
  }

  async #session(token: unknown): Promise<Session> {
    if (typeof token !== 'string' || token.length > most.characters)
      throw new Refusal('AUTH_INVALID', `A token is a text of at most ${most.characters} characters.`)
    const claims = await this.#claims(token)
    await this.#revocations.load()
    const { sub = '', exp = 0, jti } = claims
    if (this.#revocations.has(claims)) throw new Refusal('AUTH_INVALID', 'This token was revoked.')
    const user = { id: 0, firstName: sub.slice(0, 200) }
    const session = bearer({ userId: `jwt:${sub}`, user, claims }, exp * 1000, jti?.slice(0, 200))
    this.#mine.add(session)
    return session
  }

  async #claims(token: string): Promise<JWTPayload> {
    const { decodeJwt, errors, jwtVerify } = await import('jose')
    try {
      const { iss } = decodeJwt(token)
      const trust = iss === ownIssuer ? await this.#ownTrust() : await this.#configuredTrust()
      if (!trust) throw new Refusal('AUTH_INVALID', 'Tokens of this issuer are not taken here.')
      const { key, ...rules } = trust
      const options = { ...rules, requiredClaims: ['exp', 'sub'], clockTolerance: tolerance }
      const { payload } = await jwtVerify(token, key as Uint8Array, options)
      if (typeof payload.sub !== 'string' || !/^[^\s]{1,200}$/.test(payload.sub))
        throw new Refusal('AUTH_INVALID', 'The subject of a token is a text without spaces.')
      return payload
    } catch (error) {
      if (error instanceof Refusal) throw error
      if (error instanceof errors.JWTExpired) throw new Refusal('AUTH_INVALID', 'This token has expired.')
      // What is wrong with a token is its bearer's affair; that keys cannot be had is the owner's.
      if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout || error.constructor === errors.JOSEError)
        this.#parts.log.warn({ err: error }, 'the keys for tokens cannot be had')
      throw new Refusal('AUTH_INVALID', 'This token is not valid.')
    }
  }

  async #configuredTrust(): Promise<Trust | undefined> {
    this.#configured ??= import('jose').then((jose) => configuredTrust(jose, this.#config))
    try {
      return await this.#configured
    } catch (error) {
      // The file may be there next time.
      this.#configured = undefined
      throw error
    }
  }

  async #ownTrust(): Promise<Trust | undefined> {
    const key = await this.#ownKey(false)
    return key && { key, issuer: ownIssuer, audience: this.#parts.id, algorithms: ['HS256'] }
  }

  async #ownKey(create: boolean): Promise<Uint8Array | undefined> {
    if (this.#config.own === false) {
      if (create) throw new Error('Its "auth" in plugins.json says that Patchbay makes no tokens ("own": false).')
      return undefined
    }
    return ownKey(this.#config.ownKeyFile ?? this.#place('key'), create)
  }

  #place(file: string): string {
    return join(this.#parts.dataDir, 'jwt', this.#parts.id, file)
  }
}
