import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Access } from '../auth/access.ts'
import { Refusal } from '../auth/identity.ts'
import { nobody } from '../auth/session.ts'
import type { Log, RouteRequest, RouteResponse } from '../plugin/context.ts'
import { within } from '../process/deadline.ts'
import { failureOf } from '../wire/acknowledge.ts'
import { mayAsk } from '../wire/authorize.ts'
import type { Hub } from '../wire/hub.ts'
import type { Module, Route } from '../wire/module.ts'
import type { Observers } from '../wire/observers.ts'
import type { Requester } from '../wire/policy.ts'
import { RateLimits } from '../wire/rate.ts'
import type { AppFiles } from './app-files.ts'
import { findRoute } from './find-route.ts'
import { bearerOf, type IdentifyParts, identify } from './identify.ts'
import { refuse, refuseEntry } from './refusal.ts'
import { isRouteToken } from './route-tokens.ts'

export interface PluginRouteParts extends IdentifyParts {
  readonly hub: () => Hub
  readonly access: () => Access
  readonly observers: Observers
  readonly dataDir: string
  readonly app: Pick<AppFiles, 'answer'>
}

const answerMs = 10_000
/** Requests that are being answered: of one user, and of one plugin. */
const maxAtOnce = { user: 8, plugin: 64 }
const bodyLimit = 64 * 1024
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
/** What a failure with one of the core's codes is over HTTP; a plugin's own says it itself, or is 400. */
const statuses: Readonly<Record<string, number>> = {
  AUTH_REQUIRED: 401,
  AUTH_INVALID: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  MODULE_FAILED: 503,
  MODULE_UNAVAILABLE: 503,
  TIMEOUT: 504,
}
/** Whatever a plugin answers is no part of the app: it runs no script, loads nothing, and has an origin of its own. */
const policy =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/**
 * The one way to all plugins' routes. Fastify's own cannot be taken back, so each request looks for what is there now: a plugin
 * that does not run has no handler.
 */
export function addPluginRoutes(app: FastifyInstance, parts: PluginRouteParts): void {
  const rates = new RateLimits()
  const atOnce = new Map<string, number>()

  app.route({
    method: methods,
    url: '/*',
    bodyLimit,
    handler: async (request, reply) => {
      const method = request.method === 'HEAD' ? 'GET' : request.method
      const found = findRoute(parts.hub().modules.values(), method, request.url)
      if (!found) {
        const file = method === 'GET' ? parts.app.answer(request.url.replace(/\?.*/s, ''), request.headers) : undefined
        if (!file) return refuse(reply, 404, 'There is nothing here.')
        return reply.code(file.status).headers(file.headers).send(file.body)
      }
      // A script that a browser would keep as a worker could answer for the app's own pages.
      if (request.headers['service-worker'] !== undefined) return refuse(reply, 404, 'There is nothing here.')
      const { module, route } = found
      const address = parts.guard.addressOf(request.raw)
      let caller: Requester | undefined
      try {
        caller = await admit(request, module, route, address)
        rates.take(caller.userId, route)
        const { path, params, query } = found
        await answer(reply, module, route, { path, params, query, body: request.body ?? undefined, caller, address })
      } catch (error) {
        if (error instanceof Refusal) refuseEntry(reply, error)
        else refuseCommand(reply, error, module, request.log)
      }
      const seen = { plugin: module.id, route: route.name, status: reply.statusCode, address }
      parts.observers.notice({ kind: 'http', ...seen, userId: caller?.userId ?? '' })
      return reply
    },
  })

  async function answer(reply: FastifyReply, module: Module, route: Route, asked: Omit<RouteRequest, 'signal'>): Promise<void> {
    if (!route.handler)
      return void refuse(reply, 503, `${module.id} is ${module.state}${module.reason ? `: ${module.reason}` : ''}`)
    const leave = enter(module.id, asked.caller.userId)
    if (!leave) return void refuse(reply.header('Retry-After', '1'), 503, 'Too many requests at once.')
    const ended = new AbortController()
    try {
      reply.raw.once('close', () => ended.abort())
      const work = Promise.resolve(route.handler({ ...asked, signal: ended.signal }))
      send(reply.header('Content-Security-Policy', policy), await within(work, answerMs, 'no answer in time'))
    } finally {
      ended.abort()
      leave()
    }
  }

  /** Returns what makes room again; undefined if there is none. */
  function enter(...keys: [plugin: string, user: string]): (() => void) | undefined {
    const counts = keys.map((key, index) => [`${index} ${key}`, index === 0 ? maxAtOnce.plugin : maxAtOnce.user] as const)
    if (counts.some(([key, most]) => (atOnce.get(key) ?? 0) >= most)) return undefined
    for (const [key] of counts) atOnce.set(key, (atOnce.get(key) ?? 0) + 1)
    return () => {
      for (const [key] of counts)
        if (atOnce.get(key) === 1) atOnce.delete(key)
        else atOnce.set(key, (atOnce.get(key) ?? 0) - 1)
    }
  }

  async function admit({ raw }: FastifyRequest, module: Module, route: Route, address: string): Promise<Requester> {
    const { id } = module
    const token = route.definition.token ? bearerOf(raw) : undefined
    if (token !== undefined && (await isRouteToken(parts.dataDir, id, token)))
      return { userId: `token:${id}`, roles: [], claims: {} }
    if (route.definition.anonymous) return (await known(raw, module).catch(() => undefined)) ?? anonymous(address)
    const requester = await known(raw, module)
    if (!requester) throw new Refusal('AUTH_REQUIRED', 'Send a token as Authorization: Bearer …')
    if (!mayAsk(parts.access(), requester, module, route))
      throw new Refusal('ACCESS_DENIED', `You may not use ${route.name} of ${id}.`)
    return requester
  }

  async function known(request: FastifyRequest['raw'], module: Module): Promise<Requester | undefined> {
    const { policy } = parts.hub().mounts.get(module.mount) ?? {}
    return policy?.recognize ? policy.recognize(request) : identify(request, parts)
  }
}

function anonymous(address: string): Requester {
  const { userId, claims } = nobody(address)
  return { userId, roles: [], claims }
}

function send(reply: FastifyReply, response: RouteResponse): void {
  reply.code(response.status ?? 200)
  if ('json' in response) void reply.type('application/json; charset=utf-8').send(JSON.stringify(response.json))
  else void reply.type(response.type).send(typeof response.body === 'string' ? response.body : Buffer.from(response.body))
}

function refuseCommand(reply: FastifyReply, error: unknown, module: Module, log: Log): void {
  const { code, message, retryAfter, status } = failureOf(error, module.contract, log)
  if (retryAfter !== undefined) reply.header('Retry-After', String(retryAfter))
  const isOwn = Object.hasOwn(module.contract.errors ?? {}, code)
  void refuse(reply, status ?? (isOwn ? 400 : (statuses[code] ?? 400)), message, code)
}
