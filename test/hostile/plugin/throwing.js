import { EventEmitter } from 'node:events'

/** What is thrown, by name: not everything can come over the wire. */
const thrown = {
  error: () => new Error('thrown by the hostile plugin'),
  undefined: () => undefined,
  null: () => null,
  number: () => 42,
  symbol: () => Symbol('thrown'),
  proxy: () => new Proxy({}, { get: () => raise('error'), getPrototypeOf: () => raise('error') }),
  unprintable: () => ({ toString: () => raise('error'), message: { toString: () => raise('error') } }),
  posing: () =>
    Object.assign(new Error('not mine to say'), { code: 'SESSION_EXPIRED', stack: 'Error\n    at file:///core/host.ts' }),
  long: () => new Error('x'.repeat(5_000_000)),
  details: () => Object.assign(new Error('with details'), { code: 'HOSTILE_REFUSED', details: { n: 1n } }),
}

function raise(name) {
  throw thrown[name]()
}

export function throwInHandler({ name }) {
  raise(name)
}

export async function rejectInHandler({ name }) {
  raise(name)
}

export function throwLater({ name }) {
  setTimeout(() => raise(name), 10)
}

export function rejectUnhandled({ name }) {
  void Promise.reject(thrown[name]())
}

export function throwAfterAck({ name }, { call }) {
  call.afterAck(() => raise(name))
}

export function emitErrorUnheard() {
  setTimeout(() => new EventEmitter().emit('error', thrown.error()), 10)
}

/** Nothing of it catches its exceptions any more: it has taken off all who listen. */
export function throwWithoutListeners() {
  process.removeAllListeners('uncaughtException')
  process.removeAllListeners('unhandledRejection')
  setTimeout(() => raise('error'), 10)
}

/** Answers, and then has nothing left that works. */
export function breakGlobals() {
  setTimeout(() => {
    JSON.stringify = () => raise('error')
    Array.isArray = () => false
    Map.prototype.get = () => raise('error')
  }, 10)
}
