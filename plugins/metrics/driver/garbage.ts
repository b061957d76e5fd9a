import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { Family } from './exposition.ts'

const kinds: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
}

/** Counts garbage collections and the time they take, until it is closed. */
export function watchGarbage(): { families(): Family[]; close(): void } {
  const found = new Map(Object.values(kinds).map((kind) => [kind, { count: 0, ms: 0 }]))
  const observer = new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries() as Array<PerformanceEntry & { detail: NodeGCPerformanceDetail }>) {
      const row = found.get(kinds[detail.kind ?? 0] ?? '')
      if (!row) continue
      row.count++
      row.ms += duration
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  return {
    families: () => [
      {
        name: 'nodejs_gc_duration_seconds',
        type: 'summary',
        help: 'Garbage collections and the time that they took, by kind.',
        samples: [...found].flatMap(([kind, { count, ms }]) => [
          { suffix: '_sum', labels: { kind }, value: ms / 1000 },
          { suffix: '_count', labels: { kind }, value: count },
        ]),
      },
    ],
    close: () => observer.disconnect(),
  }
}
