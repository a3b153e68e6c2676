import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import { storeErrorFrom } from './errors.ts'

/** How long a call waits for other processes; their transactions last milliseconds. */
const BUSY_TIMEOUT_MS = 10_000

/** Of pages, which are taken as they are needed. With SQLite's own 2000, a store of 100,000 tags reads most rows from the file. */
const CACHE_KIB = 8000

/**
 * `durable` is on disk when the call returns, with all that was written before it. `relaxed` is seen by everyone at once
 * and survives the death of the process, but may be forgotten when the machine stops, the last first: for locks, for
 * "when was it last used", and for what can be made again from content (what a layer holds, what a step made).
 */
export type Durability = 'durable' | 'relaxed'

/**
 * A connection to the store's database with its prepared statements. Several processes have one each; SQLite's
 * write-ahead log lets them read while one writes. Errors are StoreErrors (`store-full`, `store-busy`, ...).
 */
export class Database {
  /** As shown in messages. */
  readonly path: string
  readonly #connection: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  #durability: Durability = 'durable'
  #version = 0
  /** Of other connections, as SQLite counts them for this one. */
  #writesOfOthers: unknown
  #hasWritten = true

  /** @param path of the file, or `:memory:` */
  constructor(path: string) {
    this.path = path
    this.#connection = this.#named(() => new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }))
    this.exec(`PRAGMA synchronous = FULL; PRAGMA cache_size = -${CACHE_KIB}`)
  }

  /** Runs statements that are used once, such as those of the schema. */
  exec(sql: string): void {
    this.#hasWritten = true
    this.#named(() => this.#connection.exec(sql))
  }

  /** The first row. Rows are ours: `Row` is what the statement selects. */
  one<Row>(sql: string, ...values: readonly SQLInputValue[]): Row | undefined {
    const row = this.#named(() => this.#statement(sql).get(...values))
    return row === undefined ? undefined : plain<Row>(row)
  }

  all<Row>(sql: string, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#named(() => this.#statement(sql).all(...values)).map(row => plain<Row>(row))
  }

  /** Tells how many rows changed. */
  run(sql: string, ...values: readonly SQLInputValue[]): number {
    this.#hasWritten = true
    return Number(this.#named(() => this.#statement(sql).run(...values)).changes)
  }

  /** One transaction that holds the write lock from its start, so that what it reads stays true until it ends. */
  write<T>(action: () => T, durability: Durability = 'durable'): T {
    this.#setDurability(durability)
    return this.#transaction(action)
  }

  /**
   * The same number as before: nobody has written to the database since, neither here nor in another process. For
   * outside of transactions.
   */
  version(): number {
    const writesOfOthers = this.#named(() => this.#statement('PRAGMA data_version').get())?.data_version
    if (this.#hasWritten || writesOfOthers !== this.#writesOfOthers) this.#version++
    this.#writesOfOthers = writesOfOthers
    this.#hasWritten = false
    return this.#version
  }

  get isInTransaction(): boolean {
    return this.#connection.isOpen && this.#connection.isTransaction
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#connection.isOpen) this.#connection.close()
    this.#statements.clear()
  }

  #transaction<T>(action: () => T): T {
    this.exec('BEGIN IMMEDIATE')
    try {
      const result = action()
      this.exec('COMMIT')
      return result
    } catch (error) {
      // SQLite has already rolled back after some errors (a full disk among them).
      if (this.isInTransaction) this.exec('ROLLBACK')
      throw error
    }
  }

  #setDurability(durability: Durability): void {
    if (this.#durability === durability) return
    this.exec(`PRAGMA synchronous = ${durability === 'durable' ? 'FULL' : 'NORMAL'}`)
    this.#durability = durability
  }

  #statement(sql: string): StatementSync {
    const prepared = this.#statements.get(sql)
    if (prepared !== undefined) return prepared
    const statement = this.#connection.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  #named<T>(action: () => T): T {
    try {
      return action()
    } catch (error) {
      throw storeErrorFrom(error, `Cannot use the store's database ${this.path}`)
    }
  }
}

/** SQLite's rows have no prototype; ours are objects like any other. */
function plain<Row>(row: Record<string, SQLOutputValue>): Row {
  return { ...row } as Row
}
