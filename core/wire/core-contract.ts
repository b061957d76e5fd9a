import type { CoreContract } from '../plugin/host-control.ts'
import { coreErrors } from './errors.ts'

const text = { type: 'string' }
const module = {
  type: 'object',
  properties: { module: { type: 'string', description: 'Id of the module.' } },
  required: ['module'],
  additionalProperties: false,
}
const standing = {
  type: 'object',
  properties: {
    state: { enum: ['disabled', 'unavailable', 'starting', 'running', 'failed', 'quarantined', 'stopping'] },
    reason: { type: 'string', description: 'A sentence: why, and what mends it.' },
  },
  required: ['state'],
}
const limits = { timeoutMs: 5000, rate: { max: 240, windowMs: 10_000 }, inFlight: 16 }

/** What the core itself says to clients, as data: what the commands in subscriptions.ts take, and what is published about them. */
export const coreContract = {
  commands: {
    'module:subscribe': {
      description: 'Hear a module from now on, in whatever state it is. Its retained events come at once.',
      payload: module,
      result: standing,
      ...limits,
    },
    'module:unsubscribe': { description: 'Hear it no more.', payload: module, ...limits },
  },
  events: {
    'auth:success': {
      description: 'The first event of every connection. The token resumes this session next time.',
      payload: {
        type: 'object',
        properties: {
          user: {
            type: 'object',
            properties: {
              id: { type: 'number' },
              firstName: text,
              lastName: text,
              username: text,
              photoUrl: text,
              languageCode: text,
            },
            required: ['id', 'firstName'],
          },
          sessionToken: text,
        },
        required: ['user', 'sessionToken'],
      },
      to: 'addressed',
    },
    error: {
      description: 'A command of yours that failed (with the id of its ack), or a failure of a module that you hear.',
      payload: {
        type: 'object',
        properties: {
          module: text,
          code: text,
          message: text,
          event: { type: 'string', description: 'The command that failed.' },
          id: { type: 'string', description: 'Names this failure, in the ack too.' },
          details: {},
          retryAfter: { type: 'number', description: 'Seconds.' },
        },
        required: ['module', 'code', 'message'],
      },
      to: 'addressed',
    },
  },
  errors: coreErrors,
} as const satisfies CoreContract
