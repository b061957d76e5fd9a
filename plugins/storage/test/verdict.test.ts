import t from 'tap'
import { COUNTERS, type Smart } from '../driver/drive.ts'
import { judge } from '../driver/verdict.ts'

const zeros = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<(typeof COUNTERS)[number], number>
const drive = (values: Partial<Smart>): Smart => ({
  ...zeros,
  protocol: 'nvme',
  model: 'm',
  serial: 's',
  firmware: 'f',
  passed: null,
  pendingSectors: null,
  ...values,
})

void t.test('a drive is good when nothing speaks against it, also when it says little', async (t) => {
  t.strictSame(judge(drive({})), { verdict: 'good', reason: 'It reports nothing wrong.' })
  const silent = Object.fromEntries(COUNTERS.map((name) => [name, null]))
  t.equal(judge(drive({ ...silent, passed: true })).verdict, 'good')
  t.equal(judge(drive({ percentageUsed: 79, availableSpare: 10, availableSpareThreshold: 10 })).verdict, 'good', 'at the limits')
})

void t.test('wear, media errors and unreadable sectors make it worn, with the figures in the reason', async (t) => {
  t.match(judge(drive({ percentageUsed: 80 })), { verdict: 'worn', reason: /^80 % of its rated endurance/ })
  t.match(judge(drive({ percentageUsed: 140 })), { verdict: 'worn', reason: /^140 %/ }, 'used up is not yet failing')
  t.match(judge(drive({ mediaErrors: 3 })), { verdict: 'worn', reason: /3 times/ })
  t.match(judge(drive({ pendingSectors: 8 })), { verdict: 'worn', reason: /^8 sectors/ })
})

void t.test('each bit of the critical warning has its own sentence; only the temperature is less than failing', async (t) => {
  const verdicts = [0, 1, 2, 3, 4, 5].map((bit) => judge(drive({ criticalWarning: 2 ** bit })))
  t.strictSame(
    verdicts.map(({ verdict }) => verdict),
    ['failing', 'worn', 'failing', 'failing', 'failing', 'failing'],
  )
  t.equal(new Set(verdicts.map(({ reason }) => reason)).size, 6)
  t.match(judge(drive({ criticalWarning: 9 })), { verdict: 'failing', reason: /spare.*writes/ })
  t.match(judge(drive({ criticalWarning: 64 })), { verdict: 'failing', reason: /64/ }, 'a bit that is not known yet')
})

void t.test('a spare below its threshold and a failed check of its own make it failing', async (t) => {
  t.match(judge(drive({ availableSpare: 9, availableSpareThreshold: 10 })), { verdict: 'failing', reason: /9 %.*10 %/ })
  t.match(judge(drive({ passed: false })), { verdict: 'failing', reason: /own check/ })
  t.match(
    judge(drive({ percentageUsed: 90, passed: false })),
    { verdict: 'failing', reason: /own check.*90 %/ },
    'all reasons, the worst verdict',
  )
})
