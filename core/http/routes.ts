import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { isForwarded } from '../auth/address.ts'
import { Refusal } from '../auth/identity.ts'
import type { OneTimeLinks } from '../auth/one-time-link.ts'
import type { Session } from '../auth/sessions.ts'
import { authenticate, cookieHeader, type IdentifyParts, identify } from './identify.ts'
import { refuse, refuseEntry } from './refusal.ts'

export interface RouteParts extends IdentifyParts {
  readonly links: OneTimeLinks
  readonly onLogin: (session: Session, address: string) => void
  readonly onRefusal: (refusal: Refusal, address: string) => void
  /** What `/readyz` and `/plugins` show. */
  readonly isReady: () => boolean
  readonly overview: () => object
  readonly loginPage: string
  /** Which daemon this is; another at every start. */
  readonly instance: string
}

const maxBadCodesPerMinute = 30

/** Everything the core itself serves over HTTP. */
export function addRoutes(app: FastifyInstance, parts: RouteParts): void {
  const { guard, links, sessions, loginPage } = parts
  const policy = contentPolicy(loginPage)
  let badCodes = 0
  let badCodesSince = 0

  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store' })
    const problem = guard.problem(request.raw)
    return problem ? refuse(reply, 403, problem) : undefined
  })
  app.setNotFoundHandler((_request, reply) => refuse(reply, 404, 'There is nothing here.'))
  app.setErrorHandler((error: { statusCode?: number; message: string }, request, reply) => {
    if (error instanceof Refusal) return refuseEntry(reply, error)
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error({ err: error }, 'a route failed')
    return refuse(reply, status, status >= 500 ? 'Something went wrong.' : error.message)
  })

  app.get('/healthz', async (_request, reply) => reply.header('X-Patchbay-Instance', parts.instance).send({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => reply.code(parts.isReady() ? 200 : 503).send({ ready: parts.isReady() }))
  app.get('/plugins', async (request) => {
    identify(request.raw, parts)
    return parts.overview()
  })
  /** A page of our own, loaded again or in a second tab, gets a token of its own for its browser's cookie. */
  app.post('/session', { bodyLimit: 1024 }, async (request, reply) => {
    if (!guard.isOwnPage(request.raw)) return refuse(reply, 403, 'This is for pages of this very origin.')
    return { sessionToken: sessions.another(authenticate(request.raw, parts).session) }
  })
  app.get('/login', async (_request, reply) =>
    reply.header('Content-Security-Policy', policy).type('text/html; charset=utf-8').send(loginPage),
  )

  app.post('/login', { bodyLimit: 1024 }, async (request, reply) => {
    const { raw } = request
    const address = guard.addressOf(raw)
    if (Date.now() - badCodesSince > 60_000) [badCodes, badCodesSince] = [0, Date.now()]
    try {
      const code = (request.body as { code?: unknown } | null | undefined)?.code
      const { host = '' } = raw.headers
      const identity = links.redeem(code, { peer: raw.socket.remoteAddress ?? '', host, forwarded: isForwarded(raw.headers) })
      const { session, token } = sessions.create(identity)
      parts.onLogin(session, address)
      reply.header('Set-Cookie', cookieHeader(raw, sessions.another(session)))
      return { sessionToken: token }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      if (badCodes++ < maxBadCodesPerMinute) parts.onRefusal(error, address)
      return refuse(reply, 401, error.data.reason)
    }
  })
}

/** Nothing but the page's own script and style, by their hashes. */
function contentPolicy(page: string): string {
  const hashes = (tag: string) =>
    [...page.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map(
      ([, text]) =>
        `'sha256-${createHash('sha256')
          .update(text ?? '')
          .digest('base64')}'`,
    )
  return `default-src 'none'; script-src ${hashes('script').join(' ')}; style-src ${hashes('style').join(' ')}; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}
