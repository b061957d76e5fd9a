import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuOf, lineOf, memoryOf, path, prepare, start, startedByDefault, startPlain, stop } from './processes.mjs'
import { callIn } from './remote.mjs'
import { absolute, pair } from './table.mjs'

/** Memory and CPU of a host that nobody is connected to, with everything on, beside the bare process. Both run at the same time. */
export async function idle({ quick, long }) {
  const started = await Promise.all(Array.from({ length: quick ? 1 : 5 }, () => startBoth(startPlain)))
  await sleep(quick ? 2000 : 10_000)
  const memory = started.map(({ ours, bare }) => ({ ours: memoryOf(ours), bare: memoryOf(bare) }))
  const [{ ours, bare }, ...others] = started
  for (const both of others) for (const child of Object.values(both)) await stop(child)

  const seconds = long ? 600 : quick ? 5 : 60
  const before = { ours: cpuOf(ours), bare: cpuOf(bare) }
  await sleep(seconds * 1000)
  const percent = (child, since) => (cpuOf(child) - since) / seconds / 10
  const [oursPercent, barePercent] = [percent(ours, before.ours), percent(bare, before.bare)]
  for (const child of [ours, bare]) await stop(child)

  const asked = await startBoth(start)
  await sleep(1000)
  const heap = { ours: (await callIn(asked.ours, 'heap')) / 1e6, bare: (await callIn(asked.bare, 'heap')) / 1e6 }
  for (const child of Object.values(asked)) await stop(child)

  const MB = (kind) => memory.map(({ ours, bare }) => ({ ours: ours[kind] / 1e6, bare: bare[kind] / 1e6 }))
  return [
    pair('idle memory (RSS)', 'MB', MB('rss'), 1.4),
    pair('  of that shared with no other process', 'MB', MB('own')),
    pair('  JavaScript heap after a collection', 'MB', [heap]),
    absolute(`idle CPU over ${seconds} s: share of a core`, '%', oursPercent, 0.1, barePercent),
  ]
}

async function startBoth(how) {
  const ours = how([join(path('../../dist'), 'cli.js'), 'start'], await prepare())
  const bare = how([path('./bare-process.mjs')], { PATH: process.env.PATH, NODE_ENV: 'production', PORT: '0' })
  await Promise.all([lineOf(ours, /is running/, startedByDefault), lineOf(bare, /is running/)])
  return { ours, bare }
}
