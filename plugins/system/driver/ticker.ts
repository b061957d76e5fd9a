/**
 * Calls `work` every `intervalMs`, for the first time after `firstMs`, until the returned function is called. Never twice at a time:
 * ticks that pass while `work` is unfinished are left out, the others stay on the grid of the first. Does not keep the process alive.
 */
export function startTicker(
  { firstMs, intervalMs }: { firstMs: number; intervalMs: number },
  work: () => void | Promise<void>,
  onError: (error: unknown) => void,
): () => void {
  let stopped = false
  let due = performance.now() + firstMs
  const tick = async (): Promise<void> => {
    try {
      await work()
    } catch (error) {
      onError(error)
    }
    const now = performance.now()
    due += Math.max(1, Math.ceil((now - due) / intervalMs)) * intervalMs
    if (!stopped) schedule(due - now)
  }
  let timer: NodeJS.Timeout
  const schedule = (delayMs: number): void => {
    timer = setTimeout(() => void tick(), delayMs).unref()
  }
  schedule(firstMs)
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
