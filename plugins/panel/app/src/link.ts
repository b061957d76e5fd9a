import { batch, signal } from '@preact/signals'
import { io, type Socket } from 'socket.io-client'

/** How it stands between this page and the machine. */
export type LinkState =
  | { readonly is: 'connecting' }
  | { readonly is: 'online' }
  /** It was there before. Milliseconds since the epoch. */
  | { readonly is: 'lost'; readonly since: number }
  /** Nobody is logged in here: what to do depends on where the page runs. */
  | { readonly is: 'needs login' }
  | { readonly is: 'refused'; readonly code: string; readonly reason: string; readonly command?: string }

export interface User {
  readonly id: number
  readonly firstName: string
  readonly lastName?: string
  readonly languageCode?: string
}

interface Refusal extends Error {
  readonly data?: { readonly reason?: string; readonly retryAfter?: number; readonly command?: string }
}

const wrongLogin = ['AUTH_REQUIRED', 'AUTH_INVALID', 'SESSION_EXPIRED']

/**
 * The one connection to the machine. The session's token is kept here, in memory, and nowhere else: a page that is loaded again
 * trades its cookie (or Telegram's init data) for another.
 */
export class Link {
  readonly state = signal<LinkState>({ is: 'connecting' })
  readonly user = signal<User | undefined>(undefined)
  /** Counts connections: what was heard on an earlier one is stale. */
  readonly epoch = signal(0)
  readonly socket: Socket
  readonly #initData: string | undefined
  #token: string | undefined
  /** Milliseconds since the epoch; when a login was last made that the machine then did not take. */
  #failedAt = 0

  constructor(initData: string | undefined) {
    this.#initData = initData
    this.socket = io({
      autoConnect: false,
      transports: ['websocket', 'polling'],
      reconnectionDelay: 500,
      reconnectionDelayMax: 5000,
      auth: (give) => give(this.#token === undefined ? { initData: this.#initData } : { sessionToken: this.#token }),
    })
    this.socket.on('auth:success', ({ user, sessionToken }: { user: User; sessionToken: string }) => {
      this.#token = sessionToken
      this.#failedAt = 0
      this.user.value = user
      batch(() => {
        this.epoch.value++
        this.state.value = { is: 'online' }
      })
    })
    this.socket.on('disconnect', (reason) => {
      this.state.value = { is: 'lost', since: Date.now() }
      // The machine itself closed it: the session has ended, or the list of users changed. A new login shows which.
      if (reason === 'io server disconnect') void this.#logInAgain()
    })
    this.socket.on('connect_error', (error: Refusal) => {
      if (!this.socket.active) this.#refused(error)
    })
    // A phone that wakes up need not wait for the next attempt.
    for (const [target, event] of [
      [window, 'online'],
      [document, 'visibilitychange'],
    ] as const)
      target.addEventListener(event, () => {
        if (document.visibilityState === 'visible' && this.state.value.is === 'lost') this.socket.connect()
      })
  }

  async start(): Promise<void> {
    if (this.#initData === undefined && !(await this.#tradeCookie())) return
    this.socket.connect()
  }

  /** A token of this page's own for the browser's cookie. False if nobody is logged in; waits for a machine that does not answer. */
  async #tradeCookie(): Promise<boolean> {
    for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 5000)) {
      try {
        const answer = await fetch('/session', { method: 'POST' })
        if (answer.ok) {
          this.#token = ((await answer.json()) as { sessionToken: string }).sessionToken
          return true
        }
        if (answer.status < 500 && answer.status !== 429) {
          const { code = '', error = '' } = (await answer.json()) as { code?: string; error?: string }
          this.state.value = code === 'ACCESS_DENIED' ? { is: 'refused', code, reason: error } : { is: 'needs login' }
          return false
        }
      } catch {
        // Not there at the moment: tried again below.
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs))
    }
  }

  #refused({ message, data = {} }: Refusal): void {
    if (data.retryAfter !== undefined) {
      this.state.value = { is: 'refused', code: message, reason: data.reason ?? '' }
      setTimeout(() => this.socket.connect(), data.retryAfter * 1000)
    } else if (wrongLogin.includes(message) && this.#token !== undefined) void this.#logInAgain()
    else if (wrongLogin.includes(message) && this.#initData === undefined) this.state.value = { is: 'needs login' }
    else
      this.state.value = {
        is: 'refused',
        code: message,
        reason: data.reason ?? message,
        ...(data.command !== undefined && { command: data.command }),
      }
  }

  /** The token has had its day. Once in ten seconds at most: a machine that takes none is not asked on and on. */
  async #logInAgain(): Promise<void> {
    this.#token = undefined
    const sinceMs = Date.now() - this.#failedAt
    this.#failedAt = Date.now()
    if (sinceMs < 10_000) {
      this.state.value = { is: 'needs login' }
      return
    }
    await this.start()
  }
}
