import { types } from 'node:util'
import type Database from 'libsql'
import { LinkSocksError } from '../../errors.js'

type SqlValue = string | number | Uint8Array

type Engine = Database.Database
type Statement = Database.Statement<SqlValue[]>

/** One row: columns by name. */
export type SqlRow = ReadonlyMap<string, unknown>

/**
 * One connection to a database file. The file must not be opened by other means while it lasts: closing any descriptor of
 * it would drop the lock of this process (fcntl(2)).
 */
export class Sqlite {
  readonly #engine: Engine
  readonly #statements = new Map<string, Statement>()

  private constructor(engine: Engine) {
    this.#engine = engine
  }

  /** Makes the file if it is not there. @throws {LinkSocksError} ERR_STORE (no engine for this platform) */
  static async open(path: string): Promise<Sqlite> {
    const Engine = await loadEngine()
    try {
      return new Sqlite(new Engine(path, { timeout: 0 }))
    } catch (cause) {
      // the engine's own text has no more than a number
      throw new Error('not a file, or no permission', { cause })
    }
  }

  /** Runs statements without values, and forgets what they return. */
  exec(sql: string): void {
    this.#engine.exec(sql)
  }

  run(sql: string, ...values: readonly SqlValue[]): void {
    this.#prepared(sql).run(...values)
  }

  rows(sql: string, ...values: readonly SqlValue[]): readonly SqlRow[] {
    return this.#prepared(sql)
      .all(...values)
      .map((row) => new Map(Object.entries(row ?? {})))
  }

  /** The first column of the first row. */
  value(sql: string, ...values: readonly SqlValue[]): unknown {
    return this.rows(sql, ...values)[0]
      ?.values()
      .next().value
  }

  /** All that `change` does, or nothing; it is on disk on return. */
  transaction<T>(change: () => T): T {
    this.exec('BEGIN IMMEDIATE')
    try {
      const result = change()
      this.exec('COMMIT')
      return result
    } catch (thrown) {
      this.#rollback()
      throw thrown
    }
  }

  close(): void {
    this.#rollback()
    try {
      // the engine keeps the file open until the statements are garbage, so that the lock is given back here
      this.exec('PRAGMA locking_mode = NORMAL; SELECT 1 FROM sqlite_schema')
    } catch {
      // a file that can't be read
    }
    this.#statements.clear()
    this.#engine.close()
  }

  #rollback(): void {
    // SQLite has ended the transaction itself after some errors
    if (this.#engine.inTransaction) this.exec('ROLLBACK')
  }

  #prepared(sql: string): Statement {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#engine.prepare<SqlValue[]>(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** Loaded with the first database: servers without one do without its memory. */
async function loadEngine() {
  try {
    return (await import('libsql')).default
  } catch (cause) {
    const platform = `${process.platform} ${process.arch}`
    const text = `a data directory needs the package libsql, which is not installed or has no build for ${platform}`
    throw new LinkSocksError('ERR_STORE', text, { cause })
  }
}

/** Whether a value of a row is a blob. */
export function isBytes(value: unknown): value is ArrayBuffer | Uint8Array {
  return types.isAnyArrayBuffer(value) || value instanceof Uint8Array
}

/** @throws {Error} another type */
export function bytesOf(value: unknown): Uint8Array {
  if (!isBytes(value)) throw new Error('not a blob')
  return new Uint8Array(value)
}

/** SQLite's result codes (sqlite.org/rescode.html) that are told apart. */
const RESULTS: ReadonlyMap<number, SqliteResult> = new Map([
  [1, 'error'],
  [3, 'not-allowed'],
  [5, 'in-use'],
  [6, 'in-use'],
  [8, 'not-allowed'],
  [11, 'damaged'],
  [14, 'not-allowed'],
  [19, 'damaged'],
  [26, 'damaged'],
])

export type SqliteResult = 'in-use' | 'damaged' | 'not-allowed' | 'error'

/** What kind of failure SQLite told of; `undefined` when another than SQLite failed. */
export function sqliteResult(thrown: unknown): SqliteResult | undefined {
  // the text of the code is missing for some: the lower byte of the number is the kind
  if (!(thrown instanceof Error && 'rawCode' in thrown && typeof thrown.rawCode === 'number')) return undefined
  return RESULTS.get(thrown.rawCode & 0xff) ?? 'error'
}

/** A blob as a literal, for statements without values. */
export function blobLiteral(bytes: Uint8Array): string {
  return `x'${Buffer.from(bytes).toString('hex')}'`
}

export function textLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
