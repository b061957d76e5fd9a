import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Dialect, Kysely } from 'kysely'
import type { OpenStore, Store, StoreMigrations } from '../plugin/store.ts'
import { refuse } from '../wire/errors.ts'

/** Where a plugin's data are. */
export type StorePlace = { readonly file: string } | { readonly url: string; readonly schema: string }

/** The capability. It ends with the run. */
export type OwnedStore = Store & { close(): Promise<void> }

/** Of Node.js, and of a PostgreSQL that starts, stops or has no room. pg's own have no code. */
const away = /^(ECONN\w+|ENOENT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|57P0[123]|53300)$/
const awayInWords = /timeout expired|timeout exceeded|Connection terminated/

export function createStore(place: StorePlace): OwnedStore {
  let opening: Promise<OpenStore<never>> | undefined
  return {
    async open<Tables>(migrations: StoreMigrations) {
      if (opening) throw new Error('The store is open already.')
      opening = openStore<never>(place, migrations)
      return (await opening) as unknown as OpenStore<Tables>
    },
    async close() {
      await opening?.then(({ db }) => db.destroy()).catch(() => undefined)
    },
  }
}

/** Opens it and brings it to the newest schema, or to that before the first. */
export async function openStore<Tables>(
  place: StorePlace,
  migrations: StoreMigrations,
  goal: 'newest' | 'none' = 'newest',
): Promise<OpenStore<Tables>> {
  const { Kysely, Migrator, NO_MIGRATIONS, sql } = await import('kysely')
  const db = new Kysely<Tables>({ dialect: await dialectFor(place) })
  const bound = Object.entries(migrations).map(([name, { up, down }]) => {
    const tied = (step: typeof up) => async (db: Kysely<unknown>) => void (await step(db, sql))
    return [name, { up: tied(up), down: tied(down) }]
  })
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => Object.fromEntries(bound) },
    ...('schema' in place && { migrationTableSchema: place.schema }),
  })
  const { error } = await (goal === 'newest' ? migrator.migrateToLatest() : migrator.migrateTo(NO_MIGRATIONS))
  if (error === undefined) return { db, sql }
  await db.destroy()
  throw sentenceFor(error, place)
}

/** What is loaded is loaded only here: most plugins have no store. */
async function dialectFor(place: StorePlace): Promise<Dialect> {
  if ('url' in place) return (await import('./store-postgres.ts')).postgresDialect(place.url, place.schema)
  await mkdir(dirname(place.file), { recursive: true, mode: 0o700 })
  const none = (cause: unknown) => Promise.reject(new Error(`There is no embedded database for ${process.arch}.`, { cause }))
  const { LibsqlDialect } = await import('./store-libsql.ts').catch(none)
  return new LibsqlDialect(place.file)
}

function sentenceFor(error: unknown, place: StorePlace): unknown {
  const { code = '', message = '' } = error as { code?: string; message?: string }
  if (!('url' in place && (away.test(code) || awayInWords.test(message)))) return error
  const { host } = new URL(place.url)
  return refuse('MODULE_UNAVAILABLE', `PostgreSQL does not answer at ${host || 'its socket'} (${code || message}).`)
}
