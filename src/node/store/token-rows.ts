import { bytesOf, isBytes, type Sqlite, type SqlRow } from './sqlite.js'
import { TokenContents, type TokenRow } from './token-contents.js'

const TAKE = 'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'

/** A row that has no place yet. */
export type SealedRecord = Omit<TokenRow, 'seq'>

/** A write that failed, which may be in the file all the same. */
interface Doubt {
  readonly after: TokenContents
  readonly ids: readonly string[]
  /** The rows that `ids` had before. */
  readonly rows: readonly TokenRow[]
  /** What was taken last before. */
  readonly taken: readonly string[]
}

/** The rows of tokens in an open database, and the summary of them that is written with each change. */
export class TokenRows {
  readonly #database: Sqlite
  #contents: TokenContents
  #doubt: Doubt | undefined

  /**
   * Reads every row once, and gives it to `check`.
   * @throws what SQLite or `check` says, or that the rows are not those that were written
   */
  constructor(database: Sqlite, check: (row: TokenRow) => void = () => {}) {
    this.#database = database
    const rows = this.#all()
    this.#contents = TokenContents.of(rows)
    this.#checkContents(this.#contents)
    for (const row of rows) check(row)
  }

  /** In the order of their places. @throws as the constructor */
  load(): readonly TokenRow[] {
    this.settle()
    const rows = this.#all()
    this.#checkContents(TokenContents.of(rows))
    return rows
  }

  /** @throws what SQLite says */
  has(id: string): boolean {
    return this.#find(id) !== undefined
  }

  /** What was given to the last write that gave some. @throws what SQLite says */
  get taken(): readonly string[] {
    const value = this.#database.value("SELECT value FROM meta WHERE name = 'taken'")
    return isBytes(value) ? Buffer.from(bytesOf(value)).toString().split('\n').filter(Boolean) : []
  }

  /** @param taken names that are kept with the change. @throws what SQLite says; nothing is changed */
  write(put: readonly SealedRecord[], remove: readonly string[], taken?: readonly string[]): void {
    this.settle()
    const ids = [...new Set([...remove, ...put.map(({ id }) => id)])]
    const rows = ids.flatMap((id) => this.#find(id) ?? [])
    const before = this.taken
    const after = this.#contents.copy()
    try {
      this.#database.transaction(() => {
        this.#change(after, put, remove)
        if (taken !== undefined) this.#writeTaken(taken)
      })
    } catch (thrown) {
      this.#doubt = { after, ids, rows, taken: before }
      this.#trySettle()
      throw thrown
    }
    this.#contents = after
  }

  /**
   * Takes back a write that failed and is in the file all the same: the disk can fail after the last byte of a
   * transaction. @throws what SQLite says
   */
  settle(): void {
    if (this.#doubt === undefined) return
    const { after, ids, rows, taken } = this.#doubt
    if (!this.#contents.equals(this.#summary())) {
      this.#database.transaction(() => {
        this.#checkContents(after)
        for (const id of ids) this.#database.run('DELETE FROM token WHERE id = ?', id)
        for (const row of rows) this.#insert(row)
        this.#writeTaken(taken)
        this.#writeSummary(this.#contents)
      })
    }
    this.#doubt = undefined
  }

  #writeTaken(taken: readonly string[]): void {
    this.#database.run(TAKE, 'taken', Buffer.from(taken.join('\n')))
  }

  #trySettle(): void {
    try {
      this.settle()
    } catch {
      // before the next write it is tried again
    }
  }

  #change(contents: TokenContents, put: readonly SealedRecord[], remove: readonly string[]): void {
    this.#checkContents(contents)
    for (const id of remove) {
      const row = this.#find(id)
      if (row !== undefined) this.#delete(contents, row)
    }
    for (const record of put) {
      const old = this.#find(record.id)
      const row = { ...record, seq: old?.seq ?? this.#nextSeq() }
      if (old !== undefined) this.#delete(contents, old)
      contents.add(row)
      this.#insert(row)
    }
    this.#writeSummary(contents)
  }

  #delete(contents: TokenContents, row: TokenRow): void {
    contents.remove(row)
    this.#database.run('DELETE FROM token WHERE seq = ?', row.seq)
  }

  #insert({ seq, id, sealed }: TokenRow): void {
    this.#database.run('INSERT INTO token (seq, id, sealed) VALUES (?, ?, ?)', seq, id, sealed)
  }

  #all(): readonly TokenRow[] {
    return this.#database.rows('SELECT seq, id, sealed FROM token ORDER BY seq').map(rowOf)
  }

  #find(id: string): TokenRow | undefined {
    const [row] = this.#database.rows('SELECT seq, id, sealed FROM token WHERE id = ?', id)
    return row && rowOf(row)
  }

  #nextSeq(): number {
    return Number(this.#database.value('SELECT coalesce(max(seq), 0) + 1 FROM token'))
  }

  #checkContents(expected: TokenContents): void {
    if (!expected.equals(this.#summary())) throw new Error('it does not hold what was written last')
  }

  #summary(): Uint8Array {
    return bytesOf(this.#database.value("SELECT value FROM meta WHERE name = 'contents'"))
  }

  #writeSummary(contents: TokenContents): void {
    this.#database.run('UPDATE meta SET value = ? WHERE name = ?', contents.bytes(), 'contents')
  }
}

function rowOf(row: SqlRow): TokenRow {
  const [seq, id] = [row.get('seq'), row.get('id')]
  if (typeof seq !== 'number' || typeof id !== 'string') throw new Error('a row of another kind')
  return { seq, id, sealed: bytesOf(row.get('sealed')) }
}
