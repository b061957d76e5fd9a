import t from 'tap'
import type { StoreMigrations } from '../../../core/plugin/store.ts'
import { createStore, openStore } from '../../../core/process/store.ts'
import { PrivatePostgres } from '../../support/postgres.ts'

interface Tables {
  counts: { id: string; amount: number | null }
}
const migrations: StoreMigrations = {
  '0001_counts': {
    up: (db) =>
      db.schema
        .createTable('counts')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('amount', 'bigint')
        .execute(),
    down: (db) => db.schema.dropTable('counts').execute(),
  },
}
const another: StoreMigrations = {
  ...migrations,
  '0002_fails': {
    async up(db) {
      await db.schema.dropTable('counts').execute()
      throw new Error('no')
    },
    down: async () => {},
  },
}

void t.test('a plugin has a schema of its own, where two hosts that start at once migrate once', async (t) => {
  const { url } = await new PrivatePostgres(t).start()
  const place = (schema: string) => ({ url, schema })
  const stores = Array.from({ length: 4 }, () => createStore(place('patchbay_one')))
  const opened = await Promise.all(stores.map((store) => store.open<Tables>(migrations)))
  await t.rejects((stores[0] as (typeof stores)[0]).open(migrations), /open already/)
  const [{ db, sql }] = opened as [(typeof opened)[0], ...unknown[]]
  await db
    .insertInto('counts')
    .values({ id: 'a', amount: 2 ** 40 })
    .execute()
  const other = createStore(place('patchbay_other'))
  const { db: theirs } = await other.open<Tables>(migrations)
  t.same(await theirs.selectFrom('counts').selectAll().execute(), [], 'of another plugin it sees nothing')
  const counted = await db
    .selectFrom('counts')
    .select(['amount', ({ fn }) => fn.countAll().as('rows'), ({ fn }) => fn.sum('amount').as('sum')])
    .groupBy('amount')
    .execute()
  t.same(counted, [{ amount: 2 ** 40, rows: 1, sum: 2 ** 40 }], 'whole numbers are numbers')
  t.same((await sql`select ${1}::bigint as it`.execute(db)).rows, [{ it: 1 }])
  await Promise.all(
    opened.flatMap(({ db }) =>
      Array.from({ length: 10 }, () =>
        db
          .updateTable('counts')
          .set((eb) => ({ amount: eb('amount', '+', 1) }))
          .execute(),
      ),
    ),
  )
  t.same(await db.selectFrom('counts').select('amount').execute(), [{ amount: 2 ** 40 + 40 }])
  await Promise.all([...stores, other].map((store) => store.close()))
  await t.rejects(openStore(place('patchbay_one'), another), /no/)
  const again = await openStore<Tables>(place('patchbay_one'), migrations)
  t.equal((await again.db.selectFrom('counts').selectAll().execute()).length, 1, 'a migration that fails has not happened')
  await again.db.destroy()
  await (await openStore(place('patchbay_one'), migrations, 'none')).db.destroy()
  const anew = await openStore<Tables>(place('patchbay_one'), migrations)
  t.same(await anew.db.selectFrom('counts').selectAll().execute(), [], 'down and up again')
  await anew.db.destroy()
})

void t.test('a PostgreSQL that went away and comes back is found again; one that is not there is said to be', async (t) => {
  const postgres = await new PrivatePostgres(t).start()
  const place = { url: postgres.url.replace('postgres@', 'postgres:hunter22@'), schema: 'patchbay_one' }
  const store = createStore(place)
  t.teardown(() => store.close())
  const { db } = await store.open<Tables>(migrations)
  await db.insertInto('counts').values({ id: 'a', amount: 1 }).execute()
  await postgres.stop()
  await t.rejects(db.selectFrom('counts').selectAll().execute())
  const away = await openStore(place, migrations).catch((error: unknown) => error)
  t.match(away, { code: 'MODULE_UNAVAILABLE', message: /^PostgreSQL does not answer at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)\.$/ })
  await postgres.start()
  t.same(await db.selectFrom('counts').selectAll().execute(), [{ id: 'a', amount: 1 }])
  const refused = await openStore({ ...place, url: `${postgres.url}-none` }, migrations).catch((error: unknown) => error)
  t.match(refused, { code: '3D000' }, 'a database that is not there is no matter of waiting')
})
