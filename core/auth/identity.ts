/** A user as the Pi Manager contract's clients see them. All text is from outside. */
export interface TelegramUser {
  readonly id: number
  readonly firstName: string
  readonly lastName?: string
  readonly username?: string
  readonly photoUrl?: string
  readonly languageCode?: string
}

/** Who somebody is, as an auth strategy found out. */
export interface Identity {
  /** `<strategy>:<subject>` */
  readonly userId: string
  readonly user: TelegramUser
  /** What else the strategy knows. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** The only four messages a client can get as `connect_error`. */
export type RefusalCode = 'AUTH_REQUIRED' | 'AUTH_INVALID' | 'ACCESS_DENIED' | 'SESSION_EXPIRED'

/** Why nobody was let in. `data` goes to the client: a sentence in `reason`, seconds in `retryAfter`. */
export class Refusal extends Error {
  readonly code: RefusalCode
  readonly data: {
    readonly code: RefusalCode
    readonly reason: string
    readonly retryAfter?: number
    readonly [field: string]: unknown
  }
  constructor(code: RefusalCode, reason: string, extra: { retryAfter?: number; [field: string]: unknown } = {}) {
    super(code)
    this.code = code
    this.data = { code, reason, ...extra }
  }
}
