import { writeSync } from 'node:fs'

const line = 'x'.repeat(100)
let isOver = false

/** `perTurn` at a time, so that it still gives signs of life, until so many are done. */
function often(count, perTurn, work) {
  let done = 0
  const turn = () => {
    for (let i = 0; i < perTurn && done < count; i++) work(done++)
    if (done < count && !isOver) setImmediate(turn)
  }
  setImmediate(turn)
}

export function endFloods() {
  isOver = true
}

export function publishOften({ event, count, perTurn = 1000, bytes = 10 }, { ctx }) {
  isOver = false
  const filler = 'x'.repeat(bytes)
  often(count, perTurn, (n) => ctx.publish(event, { n, filler }))
}

export function failOften({ count }, { ctx }) {
  isOver = false
  often(count, 1000, () => ctx.publishError('HOSTILE_REFUSED', line))
}

export function logOften({ count }, { ctx }) {
  isOver = false
  often(count, 1000, (n) => ctx.log.error({ n, err: new Error(line) }, line))
}

export function consoleOften({ count }) {
  isOver = false
  often(count, 1000, (n) => console.log(n, line))
}

/** Past Node.js's own streams; what the pipe does not take is tried again. */
export function writeOften({ fd, count, text = `${line}\n` }) {
  isOver = false
  often(count, 100, () => {
    try {
      writeSync(fd, text)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  })
}

/** Megabytes without an end of line. */
export function writeEndless({ fd, mb }) {
  isOver = false
  const block = 'x'.repeat(16_384)
  often(mb * 64, 16, () => {
    try {
      writeSync(fd, block)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  })
}

export function logGarbage(_args, { ctx }) {
  const cycle = {}
  cycle.itself = cycle
  const ownKeys = () => {
    throw new Error('no')
  }
  const values = [cycle, 1n, () => 1, Symbol('x'), null, undefined, new Proxy({}, { ownKeys }), 'a\nb\u2028c\x1b[2J']
  for (const value of values) {
    ctx.log.info(value, value)
    ctx.log.error({ err: value, value }, 'garbage')
  }
}
