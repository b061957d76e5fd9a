import { type Dialect, PostgresDialect } from 'kysely'
import { Pool, types } from 'pg'

const connectMs = 5000
const statementMs = 30_000
const mostConnections = 4

/** `bigint` and `numeric`, which would come as texts. */
const asNumbers: ReadonlySet<number> = new Set([types.builtins.INT8, types.builtins.NUMERIC])

/** A schema of a database that others may have schemas in. */
export function postgresDialect(url: string, schema: string): Dialect {
  const pool = new Pool({
    connectionString: url,
    options: `-c search_path=${schema}`,
    application_name: schema,
    max: mostConnections,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    types: { getTypeParser: (id, format) => (asNumbers.has(id) ? Number : types.getTypeParser(id, format)) },
  })
  // Of a connection that is lost whoever asks something over it is told; the next who wants one gets another.
  pool.on('connect', (client) => client.on('error', () => undefined)).on('error', () => undefined)
  return new PostgresDialect({ pool })
}
