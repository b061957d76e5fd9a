import t from 'tap'
import { gone, type Heard, listen, startAreas, until } from './lab.ts'

t.setTimeout(240_000)

const ids = (heard: readonly Heard[]) => heard.flatMap(({ data }) => (data.eventId === undefined ? [] : [data.eventId]))
const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i))
const withArea = async (t: Parameters<typeof startAreas>[0], options: Parameters<typeof startAreas>[1] = {}) => {
  const lab = await startAreas(t, options)
  await lab.admin('POST areas', { id: 'hall', name: 'Hall' })
  const rename = async (count: number) => {
    for (let i = 0; i < count; i++) t.equal((await lab.admin('PUT areas/hall', { name: `Hall ${i}` })).status, 200)
  }
  return { ...lab, rename }
}

void t.test('who comes again with the last event that it has gets those after it, in order, and nothing twice', async (t) => {
  const { client, rename } = await withArea(t)
  const first = await client('one', ['hall'])
  await rename(3)
  await until(() => ids(first.heard).length === 4)
  first.close()
  await rename(7)
  // As if it had not read the last two: it says what it has, whatever was sent to it.
  const again = await client('one', [], { lastEventId: ids(first.heard).at(-3) })
  await rename(2)
  await until(() => ids(again.heard).length >= 11)
  t.same(ids(again.heard), numbers(3, 13))
  t.equal(again.heard[0]?.event, 'connected')
  const none = await client('one', [], { lastEventId: '13' })
  const odd = await client('one', [], { lastEventId: '99999' })
  await rename(1)
  await until(() => ids(none.heard).length === 1 && ids(odd.heard).length === 1)
  t.same([ids(none.heard), ids(odd.heard)], [['14'], ['14']])
})

void t.test('a client of the document gets what came after its disconnect', async (t) => {
  const { client, rename, admin } = await withArea(t)
  const first = await client('one', ['hall'])
  await rename(2)
  await until(() => ids(first.heard).length === 3)
  first.close()
  await until(async () => (await admin('GET clients/one')).client?.connections === 0)
  await rename(3)
  const again = await client('one')
  await until(() => ids(again.heard).length === 3)
  await rename(1)
  await until(() => ids(again.heard).length === 4)
  t.same(ids(again.heard), ['4', '5', '6', '7'])
})

void t.test('the latest hundred are kept', async (t) => {
  const { client, rename } = await withArea(t)
  ;(await client('one', ['hall'])).close()
  await rename(130)
  const again = await client('one', [], { lastEventId: '0' })
  await until(() => ids(again.heard).includes('131'))
  t.same(ids(again.heard), numbers(32, 131))
})

void t.test('what comes while a client connects it gets once, also when it comes often', async (t) => {
  const { client, rename } = await withArea(t)
  ;(await client('one', ['hall'])).close()
  let isDone = false
  const renames = rename(80).then(() => {
    isDone = true
  })
  const all: unknown[] = []
  let last = '1'
  while (!isDone) {
    const link = await client('one', [], { lastEventId: last })
    await new Promise((resolve) => setTimeout(resolve, 15))
    link.close()
    all.push(...ids(link.heard))
    last = String(all.at(-1) ?? last)
  }
  await renames
  const link = await client('one', [], { lastEventId: last })
  await until(() => [...all, ...ids(link.heard)].includes('81'))
  t.same([...all, ...ids(link.heard)], numbers(2, 81))
})

void t.test('a critical event is sent again until it is acknowledged, and those after it wait', async (t) => {
  const { admin, client } = await withArea(t, { settings: { areas: { retryMs: 30 } } })
  let refusals = 3
  const acknowledge = ({ event }: Heard) => event !== 'area_disabled' || refusals-- <= 0
  const one = await client('one', ['hall'], { acknowledge: true }, { acknowledge })
  await admin('PATCH areas/hall/toggle')
  await admin('PUT areas/hall', { name: 'Dark hall' })
  await one.next('area_updated')
  t.same(one.take(), [...Array.from({ length: 4 }, () => 'area_disabled:hall'), 'area_updated:hall'])
  t.same(new Set(ids(one.heard.slice(-5, -1))).size, 1, 'it is the same event')
})

void t.test('who never acknowledges is closed, and gets on coming again what it did not acknowledge', async (t) => {
  const { admin, client } = await withArea(t, { settings: { areas: { retryMs: 10 } } })
  const acknowledge = ({ event }: Heard) => event === 'area_added'
  const one = await client('one', ['hall'], { acknowledge: true }, { acknowledge })
  const ended = gone(one)
  await admin('PATCH areas/hall/toggle')
  await admin('PATCH areas/hall/toggle')
  t.equal(await ended, 'io server disconnect')
  // On a busy machine even what it acknowledges may have come twice.
  t.same(
    one.take().filter((event) => event !== 'area_added:hall'),
    Array.from({ length: 5 }, () => 'area_disabled:hall'),
  )
  const again = await client('one', [], { acknowledge: true }, { acknowledge: () => true })
  await again.next('area_enabled')
  t.same(again.take(), ['area_disabled:hall', 'area_enabled:hall'])
})

void t.test('a change of several areas is one event to who asked for that, also afterwards', async (t) => {
  const { admin, client } = await withArea(t)
  for (const id of ['bath', 'attic', 'cellar']) await admin('POST areas', { id, name: id })
  const names = ['attic', 'bath', 'hall']
  const [bulk, single, few] = await Promise.all([
    client('bulk', names, { bulk: true }),
    client('single', names),
    client('few', ['hall'], { bulk: true }),
  ])
  const change = (isEnabled: boolean) =>
    admin('PATCH areas', { ids: ['hall', 'bath', 'attic', 'cellar'], changes: { isEnabled } })
  t.match(await change(false), { status: 200, areas: [{ id: 'hall' }, { id: 'bath' }, { id: 'attic' }, { id: 'cellar' }] })
  const told = await bulk.next('areas_updated')
  t.match(told, {
    count: 3,
    areas: [{ areaId: 'hall', isEnabled: false }, { areaId: 'bath' }, { areaId: 'attic' }],
    eventId: '6',
    timestamp: String,
  })
  for (const _ of names) await single.next('area_updated')
  t.same(single.take(), ['area_updated:hall', 'area_updated:bath', 'area_updated:attic'])
  t.match(await few.next('area_updated'), { areaId: 'hall' })
  t.same([bulk.take(), few.take()], [['areas_updated:'], ['area_updated:hall']])
  bulk.close()
  await change(true)
  await admin('PUT areas/bath', { name: 'Bath' })
  const again = await client('bulk', [], { bulk: true, lastEventId: told.eventId })
  await again.next('area_updated')
  t.same(again.take(), ['areas_updated:', 'area_updated:bath'])
})

void t.test('what a client is told survives the plugin and the host', async (t) => {
  const { client, rename, host, admin } = await withArea(t)
  const one = await client('one', ['hall'])
  await rename(1)
  await one.next('area_updated')
  const owner = await host.client('owner')
  t.match(await owner.ask('host:restart', { id: 'areas' }), { success: true })
  await host.reached('areas', 'running')
  await rename(1)
  await one.next('area_updated')
  t.same(ids(one.heard), ['1', '2', '3'], 'who stays connected meanwhile gets what comes, once')
  await admin('GET areas')
  const { token } = { token: await host.token('areas', ['client'], { subject: 'one' }) }
  const fresh = listen(t, `${host.url}/areas`, { token, lastEventId: '1' })
  await until(() => ids(fresh.heard).length === 2)
  t.same(ids(fresh.heard), ['2', '3'])
})
