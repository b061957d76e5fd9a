import type { FastifyReply } from 'fastify'
import type { Refusal } from '../auth/identity.ts'

/** The one shape of a refusal over HTTP. */
export function refuse(reply: FastifyReply, status: number, error: string, code?: string): FastifyReply {
  return reply.code(status).send({ success: false, ...(code && { code }), error })
}

/** 401 for who is not known, 403 for who may not. */
export function refuseEntry(reply: FastifyReply, { code, data }: Refusal): FastifyReply {
  const status = code === 'ACCESS_DENIED' ? 403 : 401
  return refuse(reply.header('WWW-Authenticate', 'Bearer'), status, data.reason, code)
}
