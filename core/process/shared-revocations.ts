import type { Kysely } from 'kysely'
import type { SharedRevocations } from '../auth/revocations.ts'
import type { StoreMigrations } from '../plugin/store.ts'
import { openStore } from './store.ts'

interface Tables {
  revoked: { plugin: string; what: string; time_s: number }
}

export const migrations: StoreMigrations = {
  '0001_first': {
    up: (db) =>
      db.schema
        .createTable('revoked')
        .addColumn('plugin', 'text', (column) => column.notNull())
        .addColumn('what', 'text', (column) => column.notNull())
        .addColumn('time_s', 'double precision', (column) => column.notNull())
        .addPrimaryKeyConstraint('revoked_key', ['plugin', 'what'])
        .execute(),
    down: (db) => db.schema.dropTable('revoked').execute(),
  },
}

/** In PostgreSQL, beside the plugins' schemas. It is asked seldom: no connection is kept. */
export function revocationsIn(url: string, plugin: string): SharedRevocations {
  // No plugin's schema is called so: an id begins with a letter.
  const place = { url, schema: 'patchbay__revoked' }
  const within = async <R>(work: (db: Kysely<Tables>) => Promise<R>): Promise<R> => {
    const { db } = await openStore<Tables>(place, migrations)
    try {
      return await work(db)
    } finally {
      await db.destroy()
    }
  }
  return {
    async read() {
      const rows = await within((db) => db.selectFrom('revoked').selectAll().where('plugin', '=', plugin).execute())
      return Object.fromEntries(rows.map(({ what, time_s }) => [what, time_s]))
    },
    async add(what, time_s) {
      await within(async (db) => {
        const over = db
          .deleteFrom('revoked')
          .where('what', 'like', 'jti %')
          .where('time_s', '<', Date.now() / 1000)
        await over.execute()
        const row = db.insertInto('revoked').values({ plugin, what, time_s })
        await row.onConflict((met) => met.columns(['plugin', 'what']).doUpdateSet({ time_s })).execute()
      })
    },
  }
}
