import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'
import vm from 'node:vm'
import t, { type Test } from 'tap'
import type { StoreMigrations } from '../../../core/plugin/store.ts'
import { openStore } from '../../../core/process/store.ts'

interface Tables {
  notes: { id: number; text: string | null; amount: number | null; body: Buffer | null }
}
const first: StoreMigrations = {
  '0001_notes': {
    up: (db) =>
      db.schema
        .createTable('notes')
        .addColumn('id', 'bigint', (column) => column.primaryKey())
        .addColumn('text', 'text')
        .addColumn('amount', 'double precision')
        .addColumn('body', 'blob')
        .execute(),
    down: (db) => db.schema.dropTable('notes').execute(),
  },
}
v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void
const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20))
}
const fileFor = (t: Test) => join(t.testdir(), 'deep', 'store.db')
const holds = (file: string) =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(file)
    } catch {
      return false
    }
  }).length

void t.test('what is written is read as it was, and what the library would change or crash of is refused', async (t) => {
  const file = fileFor(t)
  const { db, sql } = await openStore<Tables>({ file }, first)
  const row = { id: 2 ** 53 - 1, text: 'Küche', amount: 1.5, body: Buffer.from([0, 255]) }
  t.same(await db.insertInto('notes').values(row).returningAll().executeTakeFirst(), row)
  t.same(await db.selectFrom('notes').selectAll().execute(), [row])
  t.equal((await db.updateTable('notes').set({ amount: 3 }).executeTakeFirst()).numUpdatedRows, 1n)
  t.same((await sql`select typeof(id) as id, typeof(amount) as amount from notes limit ${1}`.execute(db)).rows, [
    { id: 'integer', amount: 'real' },
  ])
  for (const value of [true, undefined, new Date(0), [1], { a: 1 }, Number.NaN, Number.POSITIVE_INFINITY, 'a\0b', Symbol('s')])
    await t.rejects(sql`select ${value} as it`.execute(db), {
      message: /^The store takes null, numbers, bigints, texts and Buffers, not /,
    })
  await t.rejects(sql`select ${2n ** 70n} as it`.execute(db))
  await t.rejects(db.insertInto('notes').values(row).execute(), { code: /^SQLITE_CONSTRAINT/ })
  await t.rejects(async () => {
    for await (const _ of db.selectFrom('notes').selectAll().stream()) t.fail('it does not stream')
  }, /does not stream/)
  const [{ synchronous } = {}] = (await sql<{ synchronous: number }>`pragma synchronous`.execute(db)).rows
  t.equal(synchronous, 2, 'FULL')
  t.ok(holds(file) > 0)
  await db.destroy()
  // What the library has prepared it closes when it is collected.
  await until(() => {
    collect()
    return holds(file) === 0
  })
})

void t.test('writers queue: a hundred transactions at once, and what is read beside them', async (t) => {
  const { db } = await openStore<Tables>({ file: fileFor(t) }, first)
  t.teardown(() => db.destroy())
  await db.insertInto('notes').values({ id: 1, amount: 0 }).execute()
  const add = () =>
    db.transaction().execute(async (trx) => {
      const { amount } = await trx.selectFrom('notes').select('amount').executeTakeFirstOrThrow()
      await trx
        .updateTable('notes')
        .set({ amount: (amount ?? 0) + 1 })
        .execute()
    })
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => (i % 2 ? add() : Promise.all([add(), db.selectFrom('notes').selectAll().execute()]))),
  )
  t.equal((await db.selectFrom('notes').select('amount').executeTakeFirst())?.amount, 100)
})

void t.test('a transaction that throws has not happened, nor has a statement that fails', async (t) => {
  const { db } = await openStore<Tables>({ file: fileFor(t) }, first)
  t.teardown(() => db.destroy())
  await t.rejects(
    db.transaction().execute(async (trx) => {
      await trx.insertInto('notes').values({ id: 1 }).execute()
      throw new Error('no')
    }),
    /no/,
  )
  await t.rejects(
    db
      .insertInto('notes')
      .values([{ id: 1 }, { id: 1 }])
      .execute(),
  )
  t.same(await db.selectFrom('notes').selectAll().execute(), [])
})

void t.test('a file that another process writes is waited for, and refused when that takes too long', async (t) => {
  const file = fileFor(t)
  const [one, other] = [await openStore<Tables>({ file }, first), await openStore<Tables>({ file }, first)]
  t.teardown(() => Promise.all([one.db.destroy(), other.db.destroy()]))
  let let_go = () => {}
  const held = one.db.transaction().execute(async (trx) => {
    await trx.insertInto('notes').values({ id: 1 }).execute()
    await new Promise<void>((resolve) => {
      let_go = resolve
    })
  })
  await t.rejects(other.db.insertInto('notes').values({ id: 2 }).execute(), { code: 'SQLITE_BUSY' })
  t.same(await other.db.selectFrom('notes').selectAll().execute(), [], 'who reads does not wait')
  const waits = other.db.insertInto('notes').values({ id: 3 }).execute()
  let_go()
  await Promise.all([held, waits])
  t.same(await one.db.selectFrom('notes').select('id').execute(), [{ id: 1 }, { id: 3 }])
})

void t.test('a store that is used beside its own transaction is refused, not waited for without end', async (t) => {
  const { db } = await openStore<Tables>({ file: fileFor(t) }, first)
  t.teardown(() => db.destroy())
  const stuck = db.transaction().execute(async () => {
    const waits = Array.from({ length: 10_001 }, () => db.selectFrom('notes').selectAll().execute())
    const refused = await Promise.allSettled(waits)
    t.match((refused.at(-1) as PromiseRejectedResult).reason, /More than 10000 wait/)
    throw (refused[0] as PromiseRejectedResult).reason
  })
  await t.rejects(stuck, /was not free for 5 s/)
  t.same(await db.selectFrom('notes').selectAll().execute(), [])
})

void t.test('migrations go up and down; one that fails or is interrupted has not happened', async (t) => {
  const file = fileFor(t)
  const second: StoreMigrations = {
    ...first,
    '0002_more': {
      up: (db) => db.schema.alterTable('notes').addColumn('more', 'text').execute(),
      down: (db) => db.schema.alterTable('notes').dropColumn('more').execute(),
    },
  }
  const tables = async (migrations: StoreMigrations, goal?: 'none') => {
    const { db, sql } = await openStore<Tables>({ file }, migrations, goal)
    const { rows } = await sql<{ sql: string }>`select sql from sqlite_schema where name = 'notes'`.execute(db)
    await db.destroy()
    return rows.map((row) => row.sql).join('')
  }
  t.notMatch(await tables(first), /more/)
  t.match(await tables(second), /more/)
  t.equal(await tables(second, 'none'), '')
  t.match(await tables(second), /more/)
  const broken: StoreMigrations = {
    ...second,
    '0003_broken': {
      async up(db) {
        await db.schema.dropTable('notes').execute()
        throw new Error('broken')
      },
      down: async () => {},
    },
  }
  await t.rejects(tables(broken), /broken/)
  t.match(await tables(second), /more/, 'the table is there')
  await t.rejects(tables(first), /0002_more/, 'written by a newer version')
})

void t.test('a file that is no database is refused, and stays as it is', async (t) => {
  const file = join(t.testdir({ 'store.db': 'x'.repeat(8192) }), 'store.db')
  await t.rejects(openStore({ file }, first), { code: 'SQLITE_NOTADB' })
})

void t.test('what was acknowledged survives kill -9 in the midst of writing', async (t) => {
  const file = fileFor(t)
  await (await openStore({ file }, first)).db.destroy()
  const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
  const script = join(t.testdirName, 'write.mjs')
  writeFileSync(
    script,
    `import { openStore } from ${JSON.stringify(here('../../../core/process/store.ts'))}
const { db } = await openStore({ file: ${JSON.stringify(file)} }, { '0001_notes': { up: async () => {}, down: async () => {} } })
for (let id = Number(process.argv[2]); ; id += 2) {
  await db.transaction().execute(async (trx) => {
    await trx.insertInto('notes').values({ id, text: 'x'.repeat(3000) }).execute()
    await trx.insertInto('notes').values({ id: id + 1 }).execute()
  })
  process.stdout.write(id + '\\n')
}`,
  )
  let from = 0
  for (let round = 0; round < 5; round++) {
    const { NODE_OPTIONS: _, ...env } = process.env
    const args = [`--import=${here('../../../scripts/strip-types.mjs')}`, script, String(from)]
    const writer = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    writer.stdout.on('data', (piece) => {
      said += piece
      if (said.split('\n').length > 20 + round * 7) writer.kill('SIGKILL')
    })
    await once(writer, 'close')
    const acknowledged = Number(said.split('\n').findLast((line, i, all) => i < all.length - 1 && line) ?? -1)
    const { db, sql } = await openStore<Tables>({ file }, first)
    const ids = (await db.selectFrom('notes').select('id').orderBy('id').execute()).map(({ id }) => id)
    t.ok(ids.length >= acknowledged + 2, `${acknowledged + 2} were acknowledged, ${ids.length} are there`)
    t.same(
      ids,
      ids.map((_, i) => i),
      'nothing is missing',
    )
    t.equal(ids.length % 2, 0, 'a transaction is there whole')
    t.same((await sql`pragma integrity_check`.execute(db)).rows, [{ integrity_check: 'ok' }])
    await db.destroy()
    from = ids.length
  }
})
