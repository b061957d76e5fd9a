import type { HostConfig } from '../config/types.ts'
import type { Admission, Handshake, Policy } from '../wire/policy.ts'
import type { Access } from './access.ts'
import { type Identity, Refusal } from './identity.ts'
import type { Session, Sessions } from './sessions.ts'
import { verifyInitData } from './telegram.ts'

export interface PatchbayPolicyParts {
  readonly access: () => Access
  readonly sessions: Sessions
  readonly config: () => HostConfig
  readonly botToken: string | undefined
  /** The shell command that lets a Telegram user in, for the one who is refused to pass on. */
  readonly addCommand: (telegramId: string) => string
}

/** Patchbay's own policy: Telegram's init data at first, a session token afterwards. */
export class PatchbayPolicy implements Policy {
  readonly name = 'patchbay'
  readonly subscriptions = true
  readonly #parts: PatchbayPolicyParts

  constructor(parts: PatchbayPolicyParts) {
    this.#parts = parts
  }

  admit({ auth, address, checkRoom }: Handshake): Admission {
    const { initData, sessionToken } = (typeof auth === 'object' && auth !== null ? auth : {}) as Record<string, unknown>
    if (initData === undefined && sessionToken === undefined)
      throw new Refusal('AUTH_REQUIRED', 'Send initData or a sessionToken in auth.')
    const { session, token } =
      sessionToken === undefined ? this.#login(initData, checkRoom) : this.#resume(sessionToken, address, checkRoom)
    const greeting = { event: 'auth:success', payload: { user: session.user, sessionToken: token } }
    return { session, roles: this.rolesOf(session), greeting, ...(sessionToken === undefined && { login: 'telegram' as const }) }
  }

  rolesOf(session: Identity): readonly string[] {
    return this.#parts.access().rolesOf(session.userId)
  }

  #resume(sessionToken: unknown, address: string, checkRoom: (userId: string) => void): { session: Session; token: string } {
    const { sessions } = this.#parts
    const session = sessions.check(sessionToken, address)
    this.#checkAccess(session)
    checkRoom(session.userId)
    return sessions.resume(sessionToken, address)
  }

  #login(initData: unknown, checkRoom: (userId: string) => void): { session: Session; token: string } {
    const { sessions, config, botToken } = this.#parts
    const { telegram, ages } = config()
    const identity = verifyInitData(initData, {
      ...(botToken !== undefined && { botToken }),
      ...(telegram.botId !== undefined && { botId: String(telegram.botId) }),
      environment: telegram.environment,
      maxAgeS: ages.initDataS,
      now: Date.now(),
    })
    // auth_date counts whole seconds: whatever was signed in the second of the revocation is refused too.
    if (identity.signedAt <= sessions.signedBefore(identity.userId))
      throw new Refusal('AUTH_INVALID', 'A session of yours was revoked after this was signed. Open the app again.')
    this.#checkAccess(identity)
    checkRoom(identity.userId)
    return sessions.create(identity)
  }

  #checkAccess(identity: Identity): void {
    if (this.rolesOf(identity).length > 0) return
    const id = identity.userId.split(':')[1] ?? ''
    const command = this.#parts.addCommand(id)
    throw new Refusal(
      'ACCESS_DENIED',
      `You are Telegram user ${id}, whom this machine does not know. Its owner can add you with: ${command}`,
      {
        telegramId: id,
        command,
      },
    )
  }
}
