import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openStore, type StorePlace } from '../../../core/process/store.ts'
import { PrivatePostgres } from '../../../test/support/postgres.ts'
import { migrations, type Tables } from '../migrations.ts'
import { Repository } from '../repository.ts'

t.setTimeout(120_000)

async function upAndDown(t: Test, place: StorePlace): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const { db } = await openStore<Tables>(place, migrations)
    const repository = new Repository(db, (code) => Object.assign(new Error(code), { code }))
    t.same(await repository.areas(), [], 'it begins empty')
    await repository.create({ id: 'hall', name: 'Hall' })
    await repository.meet('one', Date.now())
    t.match(await repository.assign('one', () => ['hall']), [{ clientId: 'one', seq: 1, event: 'area_added' }])
    // Writers at once, each of whom tells the same client.
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, n) => repository.change(['hall'], { name: `Hall ${n}` })))
    const numbers = outcomes.flatMap(({ posted }) => posted.map(({ seq }) => seq)).sort((one, other) => one - other)
    t.same(
      numbers,
      Array.from({ length: 20 }, (_, n) => n + 2),
    )
    t.same(
      (await repository.eventsAfter('one', 15)).map(({ seq }) => seq),
      [16, 17, 18, 19, 20, 21],
    )
    await repository.saveDelivered(new Map([['one', 9]]))
    await repository.saveDelivered(new Map([['one', 5]]))
    t.match(await repository.meet('one', Date.now()), { last: 21, delivered: 9 })
    await repository.revoke('one')
    t.equal(await repository.meet('one', Date.now() - 1000), undefined)
    t.ok(await repository.meet('one', Date.now() + 1000))
    await db.destroy()
    await (await openStore(place, migrations, 'none')).db.destroy()
  }
}

void t.test('the tables are made and removed, and do what they should, in a file', (t) =>
  upAndDown(t, { file: join(t.testdir(), 'store.db') }),
)

void t.test('and in PostgreSQL', async (t) => {
  const { url } = await new PrivatePostgres(t).start()
  await upAndDown(t, { url, schema: 'patchbay_areas' })
})
