import type { Release } from './types.ts'

/** Of those who ask for a turn one has it at a time, in their order, until they release it. */
export function createTurns(): () => Promise<Release> {
  let last: Promise<void> = Promise.resolve()
  return async () => {
    let release: Release = () => {}
    const before = last
    last = new Promise<void>((resolve) => {
      release = resolve
    })
    await before
    return release
  }
}
