import type { Finding } from 'patchbay/plugin'
import type { AudioFailure } from './driver/failure.ts'

/** What somebody is told who asks whether sound works. */
export function findings(problem: AudioFailure | null): Finding[] {
  const base = { kind: 'sound', name: 'output', optional: true }
  if (!problem) return [{ ...base, ok: true, sentence: 'The sound server answers and has an output.' }]
  return [{ ...base, ok: false, sentence: problem.message, mend: problem.mend ?? 'pactl info' }]
}
