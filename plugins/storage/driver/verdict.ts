import type { Judgement, Smart } from './drive.ts'

const WORN_PERCENT = 80

/** The bits of `criticalWarning`, NVM Express base specification 2.0, figure 207. */
const WARNINGS: ReadonlyArray<readonly ['worn' | 'failing', string]> = [
  ['failing', 'Its spare blocks are nearly used up.'],
  ['worn', 'Its temperature is outside the allowed range.'],
  ['failing', 'It reports errors that make it unreliable.'],
  ['failing', 'It no longer accepts writes.'],
  ['failing', 'The backup of its write cache failed.'],
  ['failing', 'Its persistent memory became read-only or unreliable.'],
]

/**
 * A verdict in words. `failing`: save the data and replace it now. `worn`: it works, but wants attention. `good`: neither.
 * Endurance used up is `worn`, not `failing`: the specification says that it need not mean a failure.
 */
export function judge(smart: Smart): Judgement {
  const { percentageUsed, mediaErrors, pendingSectors, availableSpare, availableSpareThreshold } = smart
  const warning = smart.criticalWarning ?? 0
  const findings = WARNINGS.filter((_, bit) => Math.floor(warning / 2 ** bit) % 2 === 1)
  if (warning > 0 && findings.length === 0) findings.push(['failing', `It reports the critical warning ${warning}.`])
  if (smart.passed === false && findings.length === 0) findings.push(['failing', 'Its own check says that it is failing.'])
  if (availableSpare !== null && availableSpareThreshold !== null && availableSpare < availableSpareThreshold)
    findings.push([
      'failing',
      `Only ${availableSpare} % of its spare blocks are left; ${availableSpareThreshold} % is the limit.`,
    ])
  if (percentageUsed !== null && percentageUsed >= WORN_PERCENT)
    findings.push(['worn', `${percentageUsed} % of its rated endurance is used.`])
  if (mediaErrors) findings.push(['worn', `Data could not be read or written ${mediaErrors} times.`])
  if (pendingSectors) findings.push(['worn', `${pendingSectors} sectors cannot be read.`])
  const [first] = findings
  if (!first) return { verdict: 'good', reason: 'It reports nothing wrong.' }
  const verdict = findings.some(([grade]) => grade === 'failing') ? 'failing' : 'worn'
  return { verdict, reason: findings.map(([, sentence]) => sentence).join(' ') }
}
