import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Access } from '../auth/access.ts'
import { Refusal } from '../auth/identity.ts'
import type { RouteRequest, RouteResponse } from '../plugin/context.ts'
import { within } from '../process/deadline.ts'
import { CommandError } from '../wire/errors.ts'
import type { Hub } from '../wire/hub.ts'
import type { Module, Route } from '../wire/module.ts'
import type { Observers } from '../wire/observers.ts'
import { RateLimits } from '../wire/rate.ts'
import type { AppFiles } from './app-files.ts'
import { bearerOf, type IdentifyParts, identify, type Requester } from './identify.ts'
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
const maxAtOnce = 8
/** Whatever a plugin answers is no part of the app: it runs no script, loads nothing, and has an origin of its own. */
const policy =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/**
 * The one way to all plugins' routes. Fastify's own cannot be taken back, so each request looks for what is there now: a plugin
 * that does not run has no handler.
 */
export function addPluginRoutes(app: FastifyInstance, parts: PluginRouteParts): void {
  const rates = new RateLimits()
  let atOnce = 0

  const answer = async (request: FastifyRequest, reply: FastifyReply, module: Module, route: Route, requester: Requester) => {
    if (!route.handler) return refuse(reply, 503, `${module.id} is ${module.state}${module.reason ? `: ${module.reason}` : ''}`)
    if (atOnce >= maxAtOnce) return refuse(reply.header('Retry-After', '1'), 503, 'Too many requests at once.')
    const ended = new AbortController()
    atOnce++
    try {
      const query = Object.fromEntries(new URL(request.url, 'http://host').searchParams)
      const path = route.name.slice('GET '.length)
      const asked: RouteRequest = { path, query, caller: requester, signal: ended.signal }
      reply.raw.once('close', () => ended.abort())
      const work = Promise.resolve(route.handler(asked)) as Promise<RouteResponse>
      const { status = 200, type, body } = await within(work, answerMs, 'no answer in time')
      return await reply
        .code(status)
        .header('Content-Security-Policy', policy)
        .type(type)
        .send(typeof body === 'string' ? body : Buffer.from(body))
    } catch (error) {
      request.log.error({ err: error, plugin: module.id, route: route.name }, 'a route failed')
      return await refuse(reply, 500, 'Something went wrong inside this module.')
    } finally {
      ended.abort()
      atOnce--
    }
  }

  app.get('/*', async (request, reply) => {
    const [, id = '', rest = ''] = /^\/([^/?]*)(\/[^?]*)?/.exec(request.url) ?? []
    const module = parts.hub().modules.get(id)
    const route = module?.routes.get(`GET ${rest || '/'}`)
    if (!module || !route) {
      const file = parts.app.answer(`/${id}${rest}`, request.headers)
      if (!file) return refuse(reply, 404, 'There is nothing here.')
      return reply.code(file.status).headers(file.headers).send(file.body)
    }
    const address = parts.guard.addressOf(request.raw)
    const told = (userId: string) =>
      parts.observers.notice({ kind: 'http', plugin: id, route: route.name, status: reply.statusCode, userId, address })
    try {
      const requester = await admit(request, module, route)
      rates.take(requester.userId, route)
      await answer(request, reply, module, route, requester)
      told(requester.userId)
    } catch (error) {
      if (error instanceof CommandError)
        refuse(reply.header('Retry-After', String(error.retryAfter)), 429, error.message, error.code)
      else refuseEntry(reply, error as Refusal)
      told('')
    }
    return reply
  })

  async function admit(request: FastifyRequest, { id }: Module, route: Route): Promise<Requester> {
    const token = route.definition.token ? bearerOf(request.raw) : undefined
    if (token !== undefined && (await isRouteToken(parts.dataDir, id, token))) return { userId: `token:${id}`, roles: [] }
    const requester = identify(request.raw, parts)
    if (!parts.access().can(requester.roles, id, route.name, route.definition.role ?? 'owner'))
      throw new Refusal('ACCESS_DENIED', `You may not read ${route.name} of ${id}.`)
    return requester
  }
}
