import type { CameraFailure } from './failure.ts'
import { type Figures, figuresOf, type Group, newGroup, remember } from './group.ts'
import { heights } from './source.ts'
import type { AccessUnit, Feed, Resolution, Watcher } from './types.ts'

interface Viewer {
  readonly resolution: Resolution
  readonly watcher: Watcher
  /** The size that they are shown, since a key frame of it. */
  shown: Resolution | undefined
  /** They were told that there is no picture. */
  isTold: boolean
  /** Until they have seen the first one. */
  waiting: { resolve(): void; reject(failure: CameraFailure): void } | undefined
}

/** Who watches, and what they are shown: the size they asked for, or the nearest one while that is not made. */
export interface Audience {
  /** What they ask for. */
  wishes(): readonly Resolution[]
  /** Resolves with the first picture; rejects, and they are gone, if there is none. */
  join(resolution: Resolution, watcher: Watcher): Promise<Feed>
  /** What is made from now on; what was made before is no longer shown. */
  begin(resolutions: readonly Resolution[]): void
  unit(resolution: Resolution, unit: AccessUnit): void
  /** There is nothing to show, and why. */
  interrupt(failure: CameraFailure): void
  /** The last key frame of that size or the nearest; or the next one, if there is none yet. */
  keyFrame(resolution: Resolution): Promise<AccessUnit>
  figures(): Figures[]
}

/** `onChange`: somebody came, went, or saw their first picture. */
export function createAudience(onChange: (what: 'joined' | 'left' | 'shown') => void): Audience {
  const viewers = new Set<Viewer>()
  const groups = new Map<Resolution, Group>()
  /** Who waits for a key frame alone. */
  const waiting: { resolve(unit: AccessUnit): void; reject(failure: CameraFailure): void }[] = []

  const show = (viewer: Viewer, resolution: Resolution, units: readonly AccessUnit[]) => {
    if (units.length === 0) return
    const { waiting: isFirst, isTold } = viewer
    if (isTold) viewer.watcher.resumed()
    viewer.shown = resolution
    viewer.isTold = false
    viewer.waiting = undefined
    for (const unit of units) viewer.watcher.unit(unit)
    isFirst?.resolve()
    if (isFirst || isTold) onChange('shown')
  }
  const leave = (viewer: Viewer) => {
    if (viewers.delete(viewer)) onChange('left')
  }
  return {
    wishes: () => [...viewers].map(({ resolution }) => resolution),
    async join(resolution, watcher) {
      const viewer: Viewer = { resolution, watcher, shown: undefined, isTold: false, waiting: undefined }
      const shown = new Promise<void>((resolve, reject) => {
        viewer.waiting = { resolve, reject }
      })
      viewers.add(viewer)
      onChange('joined')
      const made = nearest(resolution, [...groups.keys()])
      if (made) show(viewer, made, groups.get(made)?.units ?? [])
      await shown
      return { close: () => leave(viewer) }
    },
    begin(resolutions) {
      groups.clear()
      for (const viewer of viewers) viewer.shown = undefined
      for (const resolution of resolutions) groups.set(resolution, newGroup())
    },
    unit(resolution, unit) {
      const group = groups.get(resolution)
      if (!group) return
      remember(group, unit)
      const made = [...groups.keys()]
      for (const viewer of [...viewers]) {
        if (nearest(viewer.resolution, made) === resolution && (unit.isKey || viewer.shown === resolution))
          show(viewer, resolution, [unit])
      }
      if (!unit.isKey) return
      for (const { resolve } of waiting.splice(0)) resolve(unit)
    },
    interrupt(failure) {
      groups.clear()
      for (const viewer of [...viewers]) {
        viewer.shown = undefined
        if (viewer.waiting) {
          viewer.waiting.reject(failure)
          leave(viewer)
        } else if (!viewer.isTold) {
          viewer.isTold = true
          viewer.watcher.interrupted(failure)
        }
      }
      for (const { reject } of waiting.splice(0)) reject(failure)
    },
    async keyFrame(resolution) {
      const made = nearest(resolution, [...groups.keys()])
      const last = made && groups.get(made)?.units[0]
      return last ?? new Promise((resolve, reject) => waiting.push({ resolve, reject }))
    },
    figures: () => [...groups].map(([resolution, group]) => figuresOf(resolution, group)),
  }
}

/** The same, the next smaller, or else the next larger one. */
function nearest(wanted: Resolution, made: readonly Resolution[]): Resolution | undefined {
  const distance = (resolution: Resolution) => heights[wanted] - heights[resolution]
  const rank = (resolution: Resolution) => (distance(resolution) >= 0 ? distance(resolution) : 10_000 - distance(resolution))
  return made.toSorted((a, b) => rank(a) - rank(b))[0]
}
