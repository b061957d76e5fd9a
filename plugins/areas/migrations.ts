import type { StoreMigrations } from 'patchbay/plugin'

/** Times are milliseconds since the epoch. */
export interface Tables {
  /** One row: whoever writes counts it up first, and so comes after whoever did before, on this host or another. */
  clock: { id: number; ticks: number }
  areas: { id: string; name: string; entity_ids: string; is_enabled: number; created_at: number; updated_at: number }
  clients: {
    id: string
    name: string
    created_at: number
    last_seen_at: number | null
    /** Tokens that were issued before are bad. */
    revoked_at: number | null
    /** Of its newest event. */
    last_seq: number
    /** Of the newest event that it has, as far as is known. */
    delivered_seq: number
  }
  assignments: { client_id: string; area_id: string }
  /** The latest events of each client. */
  events: { client_id: string; seq: number; event: string; payload: string; batch: string | null }
  pairings: {
    id: string
    code: string
    name: string
    address: string
    token_id: string
    created_at: number
    expires_at: number
    /** Once it is approved. */
    client_id: string | null
  }
}

export const migrations: StoreMigrations = {
  '0001_areas': {
    async up(db, sql) {
      await db.schema
        .createTable('clock')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('ticks', 'bigint', (column) => column.notNull())
        .execute()
      await sql`insert into clock (id, ticks) values (1, 0)`.execute(db)
      await db.schema
        .createTable('areas')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('entity_ids', 'text', (column) => column.notNull())
        .addColumn('is_enabled', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('clients')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('last_seen_at', 'bigint')
        .addColumn('revoked_at', 'bigint')
        .addColumn('last_seq', 'bigint', (column) => column.notNull())
        .addColumn('delivered_seq', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('assignments')
        .addColumn('client_id', 'text', (column) => column.notNull().references('clients.id').onDelete('cascade'))
        .addColumn('area_id', 'text', (column) => column.notNull().references('areas.id').onDelete('cascade'))
        .addPrimaryKeyConstraint('assignments_key', ['client_id', 'area_id'])
        .execute()
      await db.schema.createIndex('assignments_area').on('assignments').column('area_id').execute()
      await db.schema
        .createTable('events')
        .addColumn('client_id', 'text', (column) => column.notNull().references('clients.id').onDelete('cascade'))
        .addColumn('seq', 'bigint', (column) => column.notNull())
        .addColumn('event', 'text', (column) => column.notNull())
        .addColumn('payload', 'text', (column) => column.notNull())
        .addColumn('batch', 'text')
        .addPrimaryKeyConstraint('events_key', ['client_id', 'seq'])
        .execute()
      await db.schema
        .createTable('pairings')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('code', 'text', (column) => column.notNull().unique())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('token_id', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .addColumn('client_id', 'text')
        .execute()
    },
    async down(db) {
      for (const table of ['pairings', 'events', 'assignments', 'clients', 'areas', 'clock'])
        await db.schema.dropTable(table).execute()
    },
  },
}
