import { closeSync, writeSync } from 'node:fs'

const channel = 3

/** Says these lines to the host in the place of Patchbay's own code. */
export function say({ lines }) {
  for (const line of lines) writeSync(channel, `${line}\n`)
}

/** Lines that are too long to be sent here: so many times `unit` between `head` and `tail`. */
export function sayLong({ head, unit, times, tail }) {
  const bytes = Buffer.from(`${head}${unit.repeat(times)}${tail}\n`)
  const more = (from) => {
    try {
      if (from < bytes.length) more(from + writeSync(channel, bytes, from, Math.min(65_536, bytes.length - from)))
    } catch (error) {
      if (error.code === 'EAGAIN') setTimeout(more, 1, from)
    }
  }
  setTimeout(more, 10, 0)
}

/** Answers every question that was ever put to it, and some that never were, then its own twice. */
export function answerAll(_args, { call }) {
  for (let id = 0; id < 200; id++) writeSync(channel, `["answer",${id},false,{"forged":${id}}]\n`)
  return { caller: call.caller.clientId }
}

export function closeChannel() {
  setTimeout(() => closeSync(channel), 10)
}

export function closeChannelAndStay() {
  process.exit = () => undefined
  process.reallyExit = () => undefined
  setInterval(() => undefined, 1000)
  setTimeout(() => closeSync(channel), 10)
}

const cycle = {}
cycle.itself = cycle
const deep = (levels) => JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`)

const garbage = {
  function: () => () => 1,
  symbol: () => Symbol('x'),
  cycle: () => cycle,
  bigint: () => 1n,
  deep: () => deep(5000),
  large: () => 'x'.repeat(10_000_000),
  throwing: () => ({
    toJSON() {
      throw new Error('no')
    },
  }),
  polluting: () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  undefined: () => undefined,
  nan: () => Number.NaN,
}

/** Publishes one kind of garbage; says whether it was told off for it. */
export function publishGarbage({ name, event = 'hostile:any', target }, { ctx }) {
  try {
    if (target) ctx.send(target, event, garbage[name]())
    else ctx.publish(event, garbage[name]())
    return { threw: false }
  } catch (error) {
    return { threw: true, message: String(error.message).slice(0, 200) }
  }
}

export function answerGarbage({ name }) {
  return garbage[name]()
}

/** Keeps its deadline's clock standing still, for as long as it can be said. */
export function suspendForever(_args, { call }) {
  for (let i = 0; i < 100; i++) call.suspendDeadline(2 ** 31 - 1)
  return new Promise(() => undefined)
}

export function provideGarbage({ name }, { ctx }) {
  ctx.provide('hostile:value', () => garbage[name]())
}
