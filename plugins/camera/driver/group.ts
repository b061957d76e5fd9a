import type { AccessUnit, Resolution } from './types.ts'

/** More of a group is not kept, and who comes then waits for the next one. */
const MAX_BYTES = 8 * 1024 * 1024
/** What is said of a stream is of this time. */
const FIGURES_MS = 3000

/** The pictures of a stream since its last key frame, and how many there were lately. */
export interface Group {
  units: AccessUnit[]
  bytes: number
  readonly recent: { readonly at: number; readonly bytes: number }[]
}

export interface Figures {
  readonly resolution: Resolution
  readonly frameRate: number
  readonly bitrateKbps: number
}

export const newGroup = (): Group => ({ units: [], bytes: 0, recent: [] })

export function remember(group: Group, unit: AccessUnit): void {
  if (unit.isKey || group.bytes + unit.data.length > MAX_BYTES) {
    group.units = []
    group.bytes = 0
  }
  if (unit.isKey || group.units.length > 0) {
    group.units.push(unit)
    group.bytes += unit.data.length
  }
  const now = performance.now()
  group.recent.push({ at: now, bytes: unit.data.length })
  while (now - (group.recent[0]?.at ?? now) > FIGURES_MS) group.recent.shift()
}

export function figuresOf(resolution: Resolution, { recent }: Group): Figures {
  const seconds = ((recent.at(-1)?.at ?? 0) - (recent[0]?.at ?? 0)) / 1000
  if (seconds === 0) return { resolution, frameRate: 0, bitrateKbps: 0 }
  const bytes = recent.slice(1).reduce((sum, unit) => sum + unit.bytes, 0)
  const frameRate = Math.round(((recent.length - 1) / seconds) * 10) / 10
  return { resolution, frameRate, bitrateKbps: Math.round((bytes * 8) / 1000 / seconds) }
}
