import { open, rm } from 'node:fs/promises'
import { LinkSocksError } from '../../errors.js'
import type { Logger } from '../../log.js'
import { putInPlace, syncFile, unfinishedName, writeNewFile } from './durable-files.js'
import { blobLiteral, Sqlite, textLiteral } from './sqlite.js'
import { damaged } from './store-errors.js'
import { TokenContents } from './token-contents.js'
import type { TokenSeal } from './token-seal.js'

/** `LSks`: the database of a LinkSocks server. */
const APPLICATION_ID = 0x4c_53_6b_73
/** The version that a new database has before any migration. */
const FIRST_VERSION = 1

/** Of PRAGMA user_version in the file (https://www.sqlite.org/fileformat.html#the_database_header). */
const VERSION_OFFSET = 60

/** Brings a database from one version to the next; runs inside a transaction. */
export type Migration = (database: Sqlite) => void

/** From version 1 to 2, from 2 to 3 and so on. */
export const MIGRATIONS: readonly Migration[] = [
  // nothing but the number: version 1 would read records without the access rules in them, and so drop limits
  () => {},
  // nothing but the number again: version 2 would drop the policies
  () => {},
  // the same: version 3 knows no rates and quotas, and takes the rows of what tokens used for damage
  () => {},
  // the same: version 4 knows no subjects of clients, and would let others in
  () => {},
]

export interface SchemaOptions {
  readonly path: string
  readonly migrations: readonly Migration[]
  readonly log: Logger
}

const TABLES = `
  CREATE TABLE token (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sealed BLOB NOT NULL) STRICT;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;`

/**
 * How each connection works. A rollback journal shows damage that the end of a write-ahead log would hide. The lock is
 * taken with the first access and kept; it ends with the process.
 */
export const CONNECTION = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA synchronous = EXTRA;
  PRAGMA secure_delete = ON;
  PRAGMA temp_store = MEMORY;`

/**
 * Makes a database without tokens in the present version, under another name until it is whole. One that is there already
 * stays.
 * @throws what the system or SQLite says
 */
export async function createDatabase(
  path: string,
  seal: TokenSeal,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const unfinished = unfinishedName(path)
  try {
    await writeNewFile(unfinished, '')
    const database = await Sqlite.open(unfinished)
    try {
      // no prepared statement: the engine would keep the file open
      database.exec(`${CONNECTION} PRAGMA journal_mode = DELETE;
        BEGIN EXCLUSIVE; ${TABLES}
        INSERT INTO meta VALUES ('key-check', ${blobLiteral(seal.makeKeyCheck())});
        INSERT INTO meta VALUES ('contents', ${blobLiteral(new TokenContents().bytes())});
        PRAGMA application_id = ${APPLICATION_ID}`)
      for (const step of migrations) step(database)
      database.exec(`PRAGMA user_version = ${FIRST_VERSION + migrations.length}; COMMIT`)
    } finally {
      database.close()
    }
    await putInPlace(unfinished, path)
  } finally {
    for (const left of [unfinished, `${unfinished}-journal`]) await rm(left, { force: true })
  }
}

/** Whether the file is one of ours and whole, before anything is read from it or changed. @throws {LinkSocksError} ERR_STORE */
export function checkFile(database: Sqlite, { path, migrations }: SchemaOptions): void {
  if (database.value('PRAGMA application_id') !== APPLICATION_ID) {
    const advice = 'move it away, or choose another data directory'
    throw new LinkSocksError('ERR_STORE', `${path} is no database of a LinkSocks server: ${advice}`)
  }
  const version = versionOf(database)
  checkVersion(version, { path, migrations })
  if (version < FIRST_VERSION) throw damaged(path, `it has format ${version}`)
  if (database.value('PRAGMA journal_mode') !== 'delete') throw damaged(path, 'its journal mode was changed')
  const found = database.value('PRAGMA integrity_check(1)')
  if (found !== 'ok') throw damaged(path, String(found))
}

/** @throws {LinkSocksError} ERR_STORE (a newer version) */
function checkVersion(version: number, { path, migrations }: Omit<SchemaOptions, 'log'>): void {
  const newest = FIRST_VERSION + migrations.length
  if (version <= newest) return
  const known = `it has format ${version}, and this one knows no later than ${newest}`
  const advice = `use that version, put a copy from before back (${path}.v*), or move the file away to begin without tokens`
  throw new LinkSocksError('ERR_STORE', `${path} was made by a newer version of LinkSocks (${known}): ${advice}`)
}

/**
 * Reads the version of a database that another process has locked, so that this process does not ask it to end for nothing. Closing the
 * file would drop a lock that this process has on it (fcntl(2)).
 * @throws {LinkSocksError} ERR_STORE (a newer version)
 */
export async function checkVersionInUse(options: SchemaOptions): Promise<void> {
  const file = await open(options.path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(4), 0, 4, VERSION_OFFSET)
    if (bytesRead === buffer.length) checkVersion(buffer.readUInt32BE(), options)
  } finally {
    await file.close()
  }
}

/**
 * Brings an older database to the present version, all steps in one transaction, after a copy was made beside it.
 * @throws {LinkSocksError} ERR_STORE; the database is as it was
 */
export async function migrate(database: Sqlite, { path, migrations, log }: SchemaOptions): Promise<void> {
  const from = versionOf(database)
  const to = FIRST_VERSION + migrations.length
  if (from === to) return
  const copy = await copyDatabase(database, path, from)
  try {
    database.transaction(() => {
      for (const step of migrations.slice(from - FIRST_VERSION)) step(database)
      database.exec(`PRAGMA user_version = ${to}`)
    })
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    const text = `${path} could not be brought from format ${from} to ${to} (${problem}): it is as it was; a copy is ${copy}`
    throw new LinkSocksError('ERR_STORE', text, { cause })
  }
  log.info('store.migrated', { path, from, to, copy })
}

/** A whole copy of the database as it is, on disk. Made by SQLite, since the file can't be opened twice. */
async function copyDatabase(database: Sqlite, path: string, version: number): Promise<string> {
  const time = new Date().toISOString().replace(/[-:.]/g, '')
  const copy = `${path}.v${version}-${time}`
  const unfinished = unfinishedName(path)
  try {
    await writeNewFile(unfinished, '')
    database.exec(`VACUUM INTO ${textLiteral(unfinished)}`)
    await syncFile(unfinished)
    await putInPlace(unfinished, copy)
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    const text = `${path} has an older format, and the copy to be made first failed: ${problem}`
    throw new LinkSocksError('ERR_STORE', text, { cause })
  } finally {
    await rm(unfinished, { force: true })
  }
  return copy
}

function versionOf(database: Sqlite): number {
  return Number(database.value('PRAGMA user_version'))
}
