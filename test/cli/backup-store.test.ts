import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openStore } from '../../core/process/store.ts'
import { Place } from './daemon.ts'

interface Tables {
  notes: { id: number }
}

const migrations = {
  '0001_notes': {
    up: (db: Parameters<Parameters<typeof openStore>[1][string]['up']>[0]) =>
      db.schema.createTable('notes').addColumn('id', 'integer').execute(),
    down: (db: Parameters<Parameters<typeof openStore>[1][string]['up']>[0]) => db.schema.dropTable('notes').execute(),
  },
}

void t.test("a plugin's store is backed up while it is written to, and whole", async (t) => {
  const place = await Place.create(t)
  const file = join(place.dataDir, 'store/notes/store.db')
  const archive = join(place.dir, 'pi.tar.gz')
  const { db } = await openStore<Tables>({ file }, migrations)
  const pairs = async (id: number) => db.insertInto('notes').values([{ id }, { id }]).execute()
  for (let id = 0; id < 100; id++) await pairs(id)
  let isSaving = true
  const writing = (async () => {
    for (let id = 100; isSaving; id++) await pairs(id)
  })()
  const saving = place.run(['backup', archive])
  const code = await saving.exited
  isSaving = false
  await writing
  await db.destroy()
  t.equal(code, 0, saving.stderr)
  t.same(
    (await readdir(place.dataDir)).filter((name) => name.startsWith('.')),
    [],
    'copies are gone',
  )

  await rm(place.dataDir, { recursive: true })
  const restoring = place.run(['restore', archive])
  t.equal(await restoring.exited, 0, restoring.stderr)
  t.same(await readdir(join(place.dataDir, 'store/notes')), ['store.db'])
  const restored = await openStore<Tables>({ file }, migrations)
  const rows = await restored.db.selectFrom('notes').select('id').orderBy('id').execute()
  await restored.db.destroy()
  t.ok(rows.length >= 200, `${rows.length} rows`)
  t.same(
    rows.map(({ id }) => id),
    rows.map((_, index) => Math.floor(index / 2)),
    'every commit of before, whole',
  )
})

void t.test('a store that is none stops the backup, with a sentence', async (t) => {
  const place = await Place.create(t)
  await mkdir(join(place.dataDir, 'store/notes'), { recursive: true })
  await writeFile(join(place.dataDir, 'store/notes/store.db'), 'x'.repeat(8192))
  const saving = place.run(['backup', join(place.dir, 'pi.tar.gz')])
  t.equal(await saving.exited, 1)
  t.match(saving.stderr, /store\.db cannot be copied: .*not a database/)
})
