import type { Readable } from 'node:stream'

/** Milliseconds that the lines of one stream may take at once, and the share of all time in the long run. */
const burstMs = 8
const share = 0.25
/** After a burst: what is taken at a time, and so how long the others wait for it. */
const sliceMs = 2

export interface LineReader {
  /** Characters, without its end. */
  readonly longest: number
  onLine(line: string): void
  /** A line is longer. What is known of it is lost; called once. */
  onTooLong(): void
}

/**
 * Calls back with every line of a stream. Whoever writes more than can be dealt with is made to wait: it gets a quarter of this
 * process's time, in slices, and is not read meanwhile.
 */
export function readLines(stream: Readable, { longest, onLine, onTooLong }: LineReader): void {
  let rest = ''
  let creditMs = burstMs
  let at = performance.now()
  const work = () => {
    let begun = performance.now()
    creditMs = Math.min(burstMs, creditMs + (begun - at) * share)
    let from = 0
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n', from)) {
      onLine(rest.slice(from, end))
      from = end + 1
      at = performance.now()
      creditMs -= at - begun
      begun = at
      if (creditMs < 0) break
    }
    rest = rest.slice(from)
    if (creditMs < 0) {
      stream.pause()
      setTimeout(work, (sliceMs - creditMs) / share)
      return
    }
    if (rest.length > longest) {
      rest = ''
      onTooLong()
    }
    stream.resume()
  }
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    rest += chunk
    work()
  })
}
