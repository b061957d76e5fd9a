import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** The variable that everything a plugin's process starts inherits, also what leaves its group. */
export const mark = 'PATCHBAY_RUN'

/** What the name of a run's temporary directory ends with: among which processes to look for the run, and its mark. */
export const roomSuffix = (run: string) => `-${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}-${run}`

/** Whether something bears this mark. */
export const isMarked = (run: string): boolean => processes().some((pid) => bears(pid, run))

/** Kills a group and all processes that bear this mark, but this one. What hides from it, a unit of its own must hold. */
export function killMarked(run: string, leader?: number): void {
  if (leader !== undefined) kill(-leader)
  if (run === '') return
  // What was started while it looked is found in the next round.
  for (let round = 0; round < 5; round++) {
    const found = processes().filter((pid) => pid !== process.pid && bears(pid, run))
    if (found.length === 0) return
    for (const pid of found) kill(pid)
  }
}

function processes(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
}

function bears(pid: number, run: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`${mark}=${run}`)
  } catch {
    return false // another user's, or gone
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // gone already
  }
}
