import t from 'tap'
import { isAlive, Siege } from './lab.ts'

t.setTimeout(240_000)

void t.test('more memory than it may have ends it, with that as the reason', async (t) => {
  const siege = await Siege.start(t, { entry: { memoryMb: 128 } })
  const tooMuch = /^It used more than 128 MB of memory and was ended\.$/
  await t.test('in the heap', (t) => siege.breaks(t, 'fillHeap', {}, tooMuch))
  await t.test('beside the heap', (t) => siege.breaks(t, 'fillBuffers', {}, tooMuch))
  await t.test('at one go, and it says nothing any more', (t) => siege.breaks(t, 'fillBuffersAtOnce', { maxMb: 2048 }, tooMuch))
  await t.test('until it gets no more', (t) => siege.breaks(t, 'fillBuffersUntilRefused', { maxMb: 2048 }, tooMuch))
  await siege.withstood(t)
})

void t.test('what it leaks ends with its process', async (t) => {
  const siege = await Siege.start(t)
  const { pid } = await siege.pids()
  t.match(await siege.do('leak'), { success: true, files: 200, servers: 50 })
  await siege.flows()
  await siege.forgiven()
  t.notOk(isAlive(pid))
  await siege.withstood(t)
})
