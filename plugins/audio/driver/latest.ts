interface Waiting<T, R> {
  value: T
  readonly result: Promise<R>
  readonly resolve: (result: R) => void
  readonly reject: (error: unknown) => void
}

/**
 * Work that is done one at a time. While some of it waits, more for the same key takes its place: of a slider that is dragged the last
 * value counts, is done after everything that was asked before, and all who asked hear what came of it.
 */
export function createLatest<T, R>(work: (key: string, value: T) => Promise<R>): (key: string, value: T) => Promise<R> {
  const waiting = new Map<string, Waiting<T, R>>()
  let isBusy = false

  const run = async () => {
    isBusy = true
    for (const [key, { value, resolve, reject }] of waiting) {
      waiting.delete(key)
      await work(key, value).then(resolve, reject)
    }
    isBusy = false
  }
  return (key, value) => {
    const next = waiting.get(key) ?? defer<T, R>(value)
    next.value = value
    waiting.delete(key)
    waiting.set(key, next)
    if (!isBusy) void run()
    return next.result
  }
}

function defer<T, R>(value: T): Waiting<T, R> {
  let [resolve, reject]: [(result: R) => void, (error: unknown) => void] = [() => {}, () => {}]
  const result = new Promise<R>((...settle) => {
    ;[resolve, reject] = settle
  })
  return { value, result, resolve, reject }
}
