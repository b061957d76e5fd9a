import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SelectQueryNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import Database from 'libsql/promise'

/** Its types forget a member. */
type Native = Database & { readonly inTransaction: boolean }

const busyMs = 5000
const mostWaiting = 10_000
const stuckMs = 5000

/** A file, spoken with over one connection: who wants to write waits for its turn. */
export class LibsqlDialect implements Dialect {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  createAdapter() {
    return new Adapter()
  }

  createDriver(): Driver {
    return new LibsqlDriver(this.#file)
  }

  createQueryCompiler() {
    return new SqliteQueryCompiler()
  }

  createIntrospector(db: Kysely<unknown>) {
    return new SqliteIntrospector(db)
  }
}

class Adapter extends SqliteAdapter {
  /** A migration that is interrupted has not happened. */
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

interface Waiting {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: Error) => void
}

class LibsqlDriver implements Driver {
  readonly #file: string
  #waiting: Waiting[] = []
  /** Runs while somebody waits, anew for each who had his turn. */
  #stuck: NodeJS.Timeout | undefined
  #db: Native | undefined
  #connection: Connection | undefined
  #isTaken = false

  constructor(file: string) {
    this.#file = file
  }

  async init(): Promise<void> {
    this.#db = new Database(this.#file, { timeout: busyMs }) as Native
    this.#connection = new Connection(this.#db)
    await (await this.#db.prepare('PRAGMA journal_mode=WAL')).all()
    await this.#db.exec('PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON')
  }

  async acquireConnection(): Promise<Connection> {
    const connection = this.#connection as Connection
    if (!this.#isTaken) {
      this.#isTaken = true
      return connection
    }
    if (this.#waiting.length >= mostWaiting) throw new Error(`More than ${mostWaiting} wait for the store.`)
    this.#stuck ??= setTimeout(() => this.#giveUp(), stuckMs)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  async releaseConnection(connection: Connection): Promise<void> {
    const next = this.#waiting.shift()
    this.#isTaken = next !== undefined
    if (this.#waiting.length > 0) this.#stuck?.refresh()
    else this.#rest()
    next?.resolve(connection)
  }

  #giveUp(): void {
    this.#rest()
    const error = new Error(
      `The store was not free for ${stuckMs / 1000} s. Is it used beside a transaction that waits for that?`,
    )
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }

  #rest(): void {
    clearTimeout(this.#stuck)
    this.#stuck = undefined
  }

  beginTransaction = (connection: Connection): Promise<void> => connection.begin()
  commitTransaction = (connection: Connection): Promise<void> => connection.commit()
  rollbackTransaction = (connection: Connection): Promise<void> => connection.rollback()

  /** After what is under way. */
  async destroy(): Promise<void> {
    if (!this.#db) return
    await this.acquireConnection()
    this.#db.close()
  }
}

class Connection implements DatabaseConnection {
  readonly #db: Native

  constructor(db: Native) {
    this.#db = db
  }

  /** At once as one who writes: one who comes to write later finds the file busy. */
  async begin(): Promise<void> {
    await this.#db.exec('BEGIN IMMEDIATE')
  }

  async commit(): Promise<void> {
    await this.#db.exec('COMMIT')
  }

  /** After some errors, such as of a full disk, SQLite has done it itself. */
  async rollback(): Promise<void> {
    if (this.#db.inTransaction) await this.#db.exec('ROLLBACK')
  }

  async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
    const values = parameters.map(bindable)
    const statement = await this.#db.prepare(sql)
    const run = async (): Promise<QueryResult<R>> => {
      if (statement.reader) return { rows: (await statement.all(values)).map(readable) as R[] }
      const { changes, lastInsertRowid } = await statement.run(values)
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
    }
    const isRead = SelectQueryNode.is(query) || (query.kind === 'RawNode' && statement.reader)
    if (this.#db.inTransaction || isRead) return run()
    // It is the commit that waits for the disk, and only in a statement of its own does it leave this thread free meanwhile.
    await this.begin()
    try {
      const result = await run()
      await this.commit()
      return result
    } catch (error) {
      await this.rollback()
      throw error
    }
  }

  // biome-ignore lint/correctness/useYield: there is nothing to yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('The store does not stream; select with limit().')
  }
}

/** What the library would crash of, or change without a word, is refused. A number becomes an integer where it is one. */
function bindable(value: unknown): unknown {
  if (value === null || typeof value === 'bigint' || value instanceof Uint8Array) return value
  if (typeof value === 'number' && Number.isFinite(value)) return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value === 'string' && !value.includes('\0')) return value
  const what =
    typeof value === 'string' ? 'a text with the character 0' : typeof value === 'number' ? String(value) : typeof value
  throw new TypeError(`The store takes null, numbers, bigints, texts and Buffers, not ${what}.`)
}

function readable(row: Record<string, unknown>): Record<string, unknown> {
  for (const [name, value] of Object.entries(row)) if (value instanceof ArrayBuffer) row[name] = Buffer.from(value)
  return row
}
