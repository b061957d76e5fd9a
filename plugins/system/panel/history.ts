import { useSignal } from '@preact/signals'
import type { EventPayload } from 'patchbay/plugin'
import { useEffect } from 'preact/hooks'
import type { Module } from '../../panel/app/src/kit.tsx'
import type { system } from '../contract.ts'

export type Stats = EventPayload<typeof system, 'system:stats'>
type Past = EventPayload<typeof system, 'system:history'>

/** Milliseconds that the charts look back. */
export const spanMs = 15 * 60_000
/** Without a figure for so long, the line has a gap. */
const gapMs = 45_000

export interface Row {
  readonly at: number
  readonly cpu: number | null
  readonly memory: number | null
  readonly temperature: number | null
  readonly rx: number | null
  readonly tx: number | null
}

const nothing = { cpu: null, memory: null, temperature: null, rx: null, tx: null }
const sum = (values: ReadonlyArray<number | null>) => values.reduce<number>((all, one) => all + (one ?? 0), 0)

const rowOf = (stats: Stats, at: number): Row => ({
  at,
  cpu: stats.cpu.usage,
  memory: stats.memory.percent,
  temperature: stats.cpu.temperature,
  rx: sum(stats.network.map(({ rx }) => rx)),
  tx: sum(stats.network.map(({ tx }) => tx)),
})

const rowsOf = ({ t, cpu, memory, temperature, rx, tx }: Past): Row[] =>
  t.map((at, i) => ({
    at,
    cpu: cpu[i] ?? null,
    memory: memory[i] ?? null,
    temperature: temperature[i] ?? null,
    rx: rx[i] ?? null,
    tx: tx[i] ?? null,
  }))

/** What the machine remembers, and every figure since. */
export function useHistory(module: Module): readonly Row[] {
  const rows = useSignal<readonly Row[]>([])
  useEffect(() => {
    const add = (more: readonly Row[]) => {
      const all = [...more, ...rows.peek()].sort((one, other) => one.at - other.at)
      const start = (all.at(-1)?.at ?? 0) - spanMs
      rows.value = all.filter(({ at }, i) => at >= start && at !== all[i - 1]?.at)
    }
    const releases = [
      module.on('system:history', (value) => add(rowsOf(value as Past))),
      module.on('system:stats', (value, at) => add([rowOf(value as Stats, at)])),
    ]
    return () => {
      for (const release of releases) release()
    }
  }, [module])
  return withGaps(rows.value)
}

function withGaps(rows: readonly Row[]): readonly Row[] {
  return rows.flatMap((row, i) => {
    const before = rows[i - 1]
    return before && row.at - before.at > gapMs ? [{ ...nothing, at: before.at + 1 }, row] : [row]
  })
}
