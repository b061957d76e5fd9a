import { hash, randomBytes, randomUUID } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { type Identity, Refusal } from './identity.ts'
import { Saver } from './saver.ts'
import { isLogin, isRevocation, type Login, type Session, type Token } from './session.ts'

export type { Session } from './session.ts'

type SessionEnd = 'revoked' | 'expired' | 'made room'

export interface SessionsOptions {
  /** Where they are kept. */
  readonly file: string
  /** Seconds without use, and seconds in all, after which a session ends. Asked at every use. */
  readonly ages: () => { readonly idleS: number; readonly absoluteS: number }
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number
  /** Told when the file is damaged, cannot be written, and can be again. */
  onProblem(message: string): void
  /** Told when a token that had been replaced was used again: a copy of it may be in other hands. */
  onReuse(session: Session, address: string): void
}

const graceMs = 60_000
const limits = { perUser: 50, sessions: 10_000, goodTokens: 16, replacedTokens: 32, refusals: 8, revocations: 10_000, chars: 128 }
const saveWithinMs = { change: 100, use: 60_000 }
const sha256 = (token: string) => hash('sha256', token, 'base64url')

/**
 * Logins and their tokens, kept in a file so that a restart of the daemon logs nobody out.
 *
 * A session has several tokens that are good. A `resume` with one mints a successor; the old one stays good until a successor
 * of it is first used and a minute more, because the reply may have been lost and a second tab may hold it still. After that it
 * is refused, and the session remembers that.
 *
 * What has expired ends when it is next looked at, by whichever method; `expiresAt` says when that is worth doing.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #now: () => number
  readonly #saver: Saver
  readonly #logins = new Map<string, Login>()
  readonly #tokens = new Map<string, { readonly login: Login; readonly token: Token }>()
  readonly #signedBefore = new Map<string, number>()
  /** Told of every session that was revoked, has expired or had to make room. */
  onEnd: (session: Session, why: SessionEnd) => void = () => {}

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#now = options.now ?? Date.now
    const content = () => JSON.stringify({ logins: [...this.#logins.values()], signedBefore: [...this.#signedBefore] })
    this.#saver = new Saver({ file: options.file, content, onProblem: options.onProblem })
  }

  /** Reads the file, once, before anything else. One that makes no sense is moved aside and reported; never throws. */
  async load(): Promise<void> {
    const { file, onProblem } = this.#options
    try {
      const { logins, signedBefore } = JSON.parse(await readFile(file, 'utf8')) as { logins: unknown[]; signedBefore: unknown[] }
      for (const entry of signedBefore) if (isRevocation(entry)) this.#signedBefore.set(...entry)
      for (const entry of logins) if (isLogin(entry) && this.expiresAt(entry.session) > this.#now()) this.#add(entry)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      const outcome = await rename(file, `${file}.damaged`).then(
        () => `was moved to ${file}.damaged`,
        () => 'could not be moved aside',
      )
      // Not the error's message: JSON.parse quotes what it could not read.
      const { code = 'its content makes no sense' } = error as NodeJS.ErrnoException
      onProblem(`${file} could not be read (${code}) and ${outcome}. Everybody has to log in again.`)
    }
  }

  /** A new login. Makes room by ending the user's, or everybody's, least recently used session. */
  create({ userId, user, claims }: Identity): { session: Session; token: string } {
    this.#makeRoom(this.list(userId), limits.perUser)
    this.#makeRoom(this.list(), limits.sessions)
    const now = this.#now()
    const session = { id: randomUUID(), userId, user, claims, createdAt: now, lastUsedAt: now, refusedTokens: [] }
    const login = { session, tokens: [] }
    this.#add(login)
    return { session, token: this.#mint(login) }
  }

  /** Lets a client in again and gives it a successor of its token. Throws a Refusal. */
  resume(token: unknown, address: string): { session: Session; token: string } {
    const found = this.#authenticate(token, address)
    return { session: found.login.session, token: this.#mint(found.login, found.token) }
  }

  /** The same without a successor, for single requests. Counts as use. */
  check(token: unknown, address: string): Session {
    return this.#authenticate(token, address).login.session
  }

  /** A further token of a session that goes on, for another holder: a browser's cookie, say. */
  another(session: Session): string {
    return this.#mint(this.#logins.get(session.id) as Login)
  }

  /** Oldest first. */
  list(userId?: string): Session[] {
    const logins = [...this.#logins.values()].filter(({ session }) => userId === undefined || session.userId === userId)
    return logins.filter((login) => this.#isAlive(login)).map(({ session }) => session)
  }

  get(id: string): Session | undefined {
    const login = this.#logins.get(id)
    return login && this.#isAlive(login) ? login.session : undefined
  }

  /** When it ends if nothing more happens, milliseconds since the epoch. */
  expiresAt(session: Session): number {
    const { idleS, absoluteS } = this.#options.ages()
    return Math.min(session.lastUsedAt + idleS * 1000, session.createdAt + absoluteS * 1000)
  }

  /** A live socket of it was active. Cheap; does not wake what has ended. */
  touch(session: Session): void {
    const login = this.#logins.get(session.id)
    if (!login || !this.#isAlive(login)) return
    login.session.lastUsedAt = Math.max(this.#now(), session.lastUsedAt)
    this.#saver.save(saveWithinMs.use)
  }

  /** Ends a session; with `userId` only if it is that user's. False if there is no such session. */
  revoke(id: string, userId?: string): boolean {
    const session = this.get(id)
    if (!session || (userId !== undefined && session.userId !== userId)) return false
    // Where Telegram's date lies ahead, this machine's clock was behind, and must not let the same init data in once it is right.
    const signedAt = typeof session.claims.authDate === 'number' ? session.claims.authDate * 1000 : 0
    const before = Math.max(this.#now(), signedAt, this.signedBefore(session.userId))
    this.#signedBefore.delete(session.userId)
    this.#signedBefore.set(session.userId, before)
    for (const oldest of this.#signedBefore.keys())
      if (this.#signedBefore.size > limits.revocations) this.#signedBefore.delete(oldest)
    this.#end(session, 'revoked')
    return true
  }

  /**
   * Init data of this user that was signed at or before this time (milliseconds since the epoch) must be refused, because a
   * session of his was revoked then. As Telegram signs whole seconds, that covers the second of the revocation. 0 if none was.
   */
  signedBefore(userId: string): number {
    return this.#signedBefore.get(userId) ?? 0
  }

  /** Writes what is left; from then on nothing is written by itself. A failure is reported, not thrown. */
  close(): Promise<void> {
    return this.#saver.close()
  }

  #authenticate(given: unknown, address: string): { login: Login; token: Token } {
    if (typeof given !== 'string' || given.length > limits.chars)
      throw new Refusal('AUTH_INVALID', `The session token must be a string of at most ${limits.chars} characters.`)
    const found = this.#tokens.get(sha256(given))
    if (!found || !this.#isAlive(found.login)) throw new Refusal('SESSION_EXPIRED', 'This session has ended. Log in again.')
    const { login, token } = found
    const now = this.#now()
    if (token.retiresAt !== undefined && token.retiresAt <= now) {
      login.session.refusedTokens = [...login.session.refusedTokens, { at: now, address }].slice(-limits.refusals)
      this.#saver.save(saveWithinMs.change)
      this.#options.onReuse(login.session, address)
      throw new Refusal('SESSION_EXPIRED', 'This session token has been replaced by a newer one. Log in again.')
    }
    token.usedAt = now
    this.touch(login.session)
    const parent = token.parent === undefined ? undefined : this.#tokens.get(token.parent)?.token
    if (parent && parent.retiresAt === undefined) {
      parent.retiresAt = now + graceMs
      this.#saver.save(saveWithinMs.change)
    }
    return found
  }

  #mint(login: Login, parent?: Token): string {
    const text = randomBytes(32).toString('base64url')
    const token: Token = { hash: sha256(text), usedAt: 0, ...(parent && { parent: parent.hash }) }
    const replaced = login.tokens.filter((other) => other.retiresAt !== undefined)
    if (replaced.length > limits.replacedTokens) this.#forget(login, replaced[0])
    const good = login.tokens.filter((other) => other.retiresAt === undefined)
    // One that was never used is the first to go: a reply that was lost, most likely.
    const rivals = good.filter((other) => other !== parent).sort((one, other) => one.usedAt - other.usedAt)
    if (good.length >= limits.goodTokens) this.#forget(login, rivals[0])
    login.tokens.push(token)
    this.#tokens.set(token.hash, { login, token })
    this.#saver.save(saveWithinMs.change)
    return text
  }

  #forget(login: Login, token: Token | undefined): void {
    login.tokens = login.tokens.filter((other) => other !== token)
    if (token) this.#tokens.delete(token.hash)
  }

  #add(login: Login): void {
    this.#logins.set(login.session.id, login)
    for (const token of login.tokens) this.#tokens.set(token.hash, { login, token })
  }

  #makeRoom(sessions: Session[], maximum: number): void {
    if (sessions.length >= maximum)
      this.#end(
        sessions.reduce((one, other) => (other.lastUsedAt < one.lastUsedAt ? other : one)),
        'made room',
      )
  }

  #isAlive({ session }: Login): boolean {
    const isAlive = this.expiresAt(session) > this.#now()
    if (!isAlive) this.#end(session, 'expired')
    return isAlive
  }

  #end({ id }: Session, why: SessionEnd): void {
    const login = this.#logins.get(id)
    if (!login) return
    this.#logins.delete(id)
    for (const { hash } of login.tokens) this.#tokens.delete(hash)
    login.session.endedAt = this.#now()
    this.#saver.save(saveWithinMs.change)
    this.onEnd(login.session, why)
  }
}
