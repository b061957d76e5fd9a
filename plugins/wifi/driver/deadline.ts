/**
 * Gives the work a signal that is aborted with the one given, or after so many milliseconds. Not `AbortSignal.timeout()` in
 * `AbortSignal.any()`: nothing else holds that, and Node.js 20 forgets it with the next garbage.
 */
export async function within<T>(ms: number, signal: AbortSignal, work: (end: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new Error(`It took longer than ${ms / 1000} s.`)), ms)
  try {
    return await work(AbortSignal.any([late.signal, signal]))
  } finally {
    clearTimeout(timer)
  }
}
