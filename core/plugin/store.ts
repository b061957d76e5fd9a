import type { Kysely, sql } from 'kysely'

/** Kysely's tag for SQL by hand, with its values kept apart: `` sql`select ${value}` ``. */
export type Sql = typeof sql

/**
 * One step from a schema to the next, and back. It runs in a transaction and must mean the same to SQLite and PostgreSQL: columns of the types
 * `text`, `integer` (up to 2^31), `bigint` (up to 2^53), `double precision`.
 */
export interface StoreMigration {
  up(db: Kysely<unknown>, sql: Sql): Promise<unknown>
  down(db: Kysely<unknown>, sql: Sql): Promise<unknown>
}

/** By name, in the order of the names: `0001_first`, `0002_second`. One that was released never changes. */
export type StoreMigrations = Readonly<Record<string, StoreMigration>>

export interface OpenStore<Tables> {
  /**
   * https://kysely.dev. What has resolved is on the disk. Values are null, numbers (whole ones up to 2^53), bigints, Buffers and texts
   * without the character 0; truth is 0 and 1. On PostgreSQL other hosts write too: count in one statement, and lock a row by updating it.
   */
  readonly db: Kysely<Tables>
  readonly sql: Sql
}

/** A database of the plugin's own: a file in the data directory, or a schema of the PostgreSQL that the host was given. */
export interface Store {
  /**
   * Opens it once in a run, and brings it to the newest schema. It is closed when the run has ended, after all that the plugin owns. Rejects
   * with `code` `MODULE_UNAVAILABLE` where PostgreSQL does not answer: thrown on by `start`, it is tried again until it does.
   */
  open<Tables>(migrations: StoreMigrations): Promise<OpenStore<Tables>>
}
