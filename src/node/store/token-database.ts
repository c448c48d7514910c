import type { KeyObject } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { LinkSocksError } from '../../errors.js'
import type { Handover } from '../../handover.js'
import type { Logger } from '../../log.js'
import type { ServerAccessRules, TokenChanges, TokenRecord, TokenStore, TokenUsage } from '../../ports.js'
import { decodeAccess, decodeRecord, encodeAccess, encodeRecord } from '../../relay/tokens/token-record.js'
import { decodeUsage, encodeUsage } from '../../relay/tokens/usage-record.js'
import { isRunning } from '../system/process-identity.js'
import { makeKeyFile, parseDataKey, readKeyFile } from './data-key.js'
import {
  checkWriteAccess,
  exists,
  fileIdentity,
  makeDirectory,
  readableByOthers,
  removeUnfinished,
  removeUnfinishedLike,
  sizeOf,
} from './durable-files.js'
import { FileHandover, HANDOVER_FILES } from './file-handover.js'
import { bytesOf, isBytes, Sqlite, sqliteResult } from './sqlite.js'
import { damaged, isInUse, storeError } from './store-errors.js'
import { nameOwner, type OwnedStore, readOwner, removeOwner } from './store-owner.js'
import type { TokenRow } from './token-contents.js'
import { TokenRows } from './token-rows.js'
import {
  CONNECTION,
  checkFile,
  checkVersionInUse,
  createDatabase,
  MIGRATIONS,
  type Migration,
  migrate,
} from './token-schema.js'
import { TokenSeal } from './token-seal.js'

const DATABASE = 'tokens.db'
const KEY_FILE = 'data.key'

/** The row of the rules of the server, among those of its tokens: their ids are hex digits. */
const ACCESS_ID = 'server-access'

/** Before the id of a token: the row of what it used. */
const USAGE_PREFIX = 'usage-'

/** SQLite's, unless told otherwise. */
const PAGE_BYTES = 4_096

export interface TokenDatabaseOptions {
  /** Made, for its owner alone, if it is not there. */
  readonly directory: string
  /** 32 bytes as 64 hex digits or base64. @default the file `data.key` in the directory, made with the database */
  readonly key?: string | undefined
  readonly log: Logger
  /** Largest size of the database, in pages of 4 KiB: beyond it, writes fail as on a full disk. @default as large as the disk */
  readonly maxPages?: number | undefined
  /** Later versions of the database. @default those there are */
  readonly migrations?: readonly Migration[] | undefined
}

/**
 * Opens the tokens in a directory, or makes an empty database there. Everything in it is read and checked once.
 * @throws {LinkSocksError} ERR_OPTION (of `key`); ERR_STORE (in use, damaged, another key, a newer version, not
 * readable), in words that name the file and what to do; the file is left as it is then
 */
export async function openTokenDatabase(options: TokenDatabaseOptions): Promise<TokenStore> {
  const given = options.key === undefined ? undefined : parseDataKey(options.key)
  const directory = resolve(options.directory)
  const path = join(directory, DATABASE)
  try {
    await makeDirectory(directory)
    const isNew = await checkMissing(path)
    const seal = new TokenSeal(given ?? (await keyOf(directory, isNew)))
    await warnOfReaders(options.log, given === undefined ? [directory, join(directory, KEY_FILE)] : [directory])
    if (isNew) await createDatabase(path, seal, options.migrations)
    const database = await openDatabase(path, seal, options)
    // what is left does no harm
    await removeUnfinished(path, join(directory, KEY_FILE)).catch(() => {})
    await removeUnfinishedLike(directory, HANDOVER_FILES).catch(() => {})
    await nameOwner(directory, { keyCheck: seal.makeKeyCheck().toString('base64') })
    options.log.info('store.opened', { path })
    return database
  } catch (thrown) {
    throw storeError(path, thrown, isInUse(thrown) ? await readOwner(directory) : undefined)
  }
}

/**
 * Looks whether this process could open the database that another one has, as far as that one says: it would be asked to end in vain.
 * @throws {LinkSocksError} ERR_STORE (another key), ERR_OPTION (of `key`)
 */
export async function checkOwned(
  { keyCheck }: OwnedStore,
  options: Pick<TokenDatabaseOptions, 'directory' | 'key'>,
): Promise<void> {
  const directory = resolve(options.directory)
  const path = join(directory, DATABASE)
  const key = options.key === undefined ? await readKeyFile(join(directory, KEY_FILE)) : parseDataKey(options.key)
  if (key === undefined || keyCheck === undefined) return
  if (new TokenSeal(key).fits(Buffer.from(keyCheck, 'base64')) === 'another-key') throw anotherKey(path)
}

/** Whether there is no database yet. @throws {LinkSocksError} ERR_STORE (less than a database, or a journal alone) */
async function checkMissing(path: string): Promise<boolean> {
  // in this order: a server that starts at the same time makes the journal last
  const journal = await exists(`${path}-journal`)
  const size = await sizeOf(path)
  // SQLite would begin a new database in it
  if (size !== undefined && size < PAGE_BYTES) throw damaged(path, size === 0 ? 'it is empty' : 'its end is missing')
  if (size !== undefined) return false
  if (!journal) return true
  const advice = 'put the database back, or move the journal away as well to begin without tokens'
  throw new LinkSocksError('ERR_STORE', `${path}-journal is there, but not ${path}: ${advice}`)
}

async function keyOf(directory: string, isNew: boolean): Promise<KeyObject> {
  const path = join(directory, KEY_FILE)
  const key = await readKeyFile(path)
  if (key !== undefined) return key
  if (isNew) return await makeKeyFile(path)
  const advice = 'put the file back, or give the key (LINKSOCKS_DATA_KEY) if it was given before'
  throw new LinkSocksError(
    'ERR_STORE',
    `the key file ${path} is missing, without which the tokens can't be read: ${advice}`,
  )
}

async function warnOfReaders(log: Logger, paths: readonly string[]): Promise<void> {
  for (const path of paths) if (await readableByOthers(path)) log.warn('store.readable-by-others', { path })
}

async function openDatabase(path: string, seal: TokenSeal, options: TokenDatabaseOptions): Promise<TokenDatabase> {
  const directory = dirname(path)
  const { migrations = MIGRATIONS, log, maxPages } = options
  const schema = { path, migrations, log }
  const database = await Sqlite.open(path)
  try {
    // rolls back what a killed server left half-written
    database.exec(`${CONNECTION} BEGIN EXCLUSIVE; COMMIT`)
    checkFile(database, schema)
    checkKey(database, path, seal)
    checkWritable(database)
    await migrate(database, schema)
    if (maxPages !== undefined) database.exec(`PRAGMA max_page_count = ${maxPages}`)
    return new TokenDatabase(database, { path, directory, seal })
  } catch (thrown) {
    database.close()
    if (isInUse(thrown) && (await isOthers(directory))) await checkVersionInUse(schema)
    throw thrown
  }
}

/** Whether another process has it for certain: of a file that this one has locked no descriptor may be closed. */
async function isOthers(directory: string): Promise<boolean> {
  const owner = await readOwner(directory)
  return owner !== undefined && owner.pid !== process.pid && isRunning(owner) === true
}

/** SQLite opens a file that it may not write, without a lock. */
function checkWritable(database: Sqlite): void {
  const taken = new Error('taken back')
  try {
    database.transaction(() => {
      database.exec("UPDATE meta SET value = x'' WHERE name = 'contents'")
      throw taken
    })
  } catch (thrown) {
    // a full disk is no reason not to start
    if (sqliteResult(thrown) === 'not-allowed') throw thrown
  }
}

function checkKey(database: Sqlite, path: string, seal: TokenSeal): void {
  const check = database.value("SELECT value FROM meta WHERE name = 'key-check'")
  const fits = isBytes(check) ? seal.fits(bytesOf(check)) : 'damaged'
  if (fits === 'damaged') throw damaged(path, 'its key check is changed')
  if (fits === 'yes') return
  throw anotherKey(path)
}

function anotherKey(path: string): LinkSocksError {
  const advice = 'give the key it was made with, or move the file away to begin without tokens'
  return new LinkSocksError('ERR_STORE', `the key does not fit ${path}, which was made with another one: ${advice}`)
}

interface DatabasePlace {
  readonly path: string
  readonly directory: string
  readonly seal: TokenSeal
}

/** Tokens in an SQLite database: each record is sealed, and only its id and its place can be read. */
class TokenDatabase implements TokenStore {
  readonly durable = true
  readonly #database: Sqlite
  readonly #path: string
  readonly #directory: string
  readonly #seal: TokenSeal
  readonly #rows: TokenRows
  readonly #handover: FileHandover
  readonly #identity: string | undefined
  #closed = false

  /** @throws {LinkSocksError} ERR_STORE */
  constructor(database: Sqlite, { path, directory, seal }: DatabasePlace) {
    this.#database = database
    this.#path = path
    this.#directory = directory
    this.#seal = seal
    this.#identity = fileIdentity(path)
    this.#rows = this.#read(() => new TokenRows(database, (row) => this.#check(row)))
    this.#handover = new FileHandover({ directory, seal, taken: this.#read(() => this.#rows.taken) })
  }

  async load(): Promise<readonly TokenRecord[]> {
    this.#checkOpen()
    return this.#read(() => this.#tokenRows().map((row) => this.#unseal(row, decodeRecord)))
  }

  async loadAccess(): Promise<ServerAccessRules> {
    this.#checkOpen()
    return this.#read(() => {
      const row = this.#rows.load().find(({ id }) => id === ACCESS_ID)
      return row === undefined ? {} : this.#unseal(row, decodeAccess)
    })
  }

  async loadUsage(): Promise<ReadonlyMap<string, TokenUsage>> {
    this.#checkOpen()
    const rows = this.#read(() => this.#rows.load().filter(({ id }) => id.startsWith(USAGE_PREFIX)))
    return new Map(rows.map((row) => [row.id.slice(USAGE_PREFIX.length), this.#unseal(row, decodeUsage)]))
  }

  async write({ put = [], remove = [], access, usage = {}, taken }: TokenChanges): Promise<void> {
    this.#checkOpen()
    const rows = put.map((record) => ({ id: record.id, bytes: encodeRecord(record).bytes }))
    if (access !== undefined) rows.push({ id: ACCESS_ID, bytes: encodeAccess(access) })
    for (const [id, used] of Object.entries(usage)) rows.push({ id: `${USAGE_PREFIX}${id}`, bytes: encodeUsage(used) })
    const removed = remove.flatMap((id) => [id, `${USAGE_PREFIX}${id}`])
    const sealed = rows.map(({ id, bytes }) => ({ id, sealed: this.#seal.seal(bytes, id) }))
    try {
      this.#checkInPlace()
      // of a token that was removed meanwhile nothing is left
      const added = new Set(put.map(({ id }) => id))
      const stays = (id: string): boolean => added.has(id) || (!remove.includes(id) && this.#rows.has(id))
      const wanted = sealed.filter(({ id }) => !id.startsWith(USAGE_PREFIX) || stays(id.slice(USAGE_PREFIX.length)))
      this.#rows.write(wanted, removed, taken === undefined ? undefined : this.#handover.takenWith(taken))
      if (taken !== undefined) this.#handover.noteTaken(taken)
      // it may have gone meanwhile
      this.#checkInPlace()
    } catch (cause) {
      throw new LinkSocksError('ERR_NOT_STORED', `can't write to ${this.#path}: ${messageOf(cause)}`, { cause })
    }
  }

  async handover(): Promise<Handover> {
    return this.#handover
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // before the lock: the next process has its own name there
    await removeOwner(this.#directory)
    try {
      this.#rows.settle()
    } catch {
      // the write was told to have failed; a disk that still fails can't be helped
    }
    this.#database.close()
  }

  /**
   * An open file takes what is written whatever becomes of its path: removed, or another volume mounted over it, and nobody finds it
   * again; mounted read-only, and it changes what was to stay as it is.
   */
  #checkInPlace(): void {
    const identity = fileIdentity(this.#path)
    if (identity === undefined) throw new Error('the file is gone: put it back and start the server again')
    if (identity !== this.#identity) throw new Error('another file has its place: start the server again')
    checkWriteAccess(this.#path)
  }

  #checkOpen(): void {
    if (this.#closed) throw new LinkSocksError('ERR_STORE', 'the token store is closed')
  }

  #tokenRows(): readonly TokenRow[] {
    return this.#rows.load().filter(({ id }) => id !== ACCESS_ID && !id.startsWith(USAGE_PREFIX))
  }

  #check(row: TokenRow): void {
    this.#unseal<unknown>(row, decoderOf(row.id))
  }

  #unseal<T>({ id, sealed }: TokenRow, decode: (bytes: Uint8Array) => T): T {
    try {
      return decode(this.#seal.unseal(sealed, id))
    } catch {
      // no cause: it may repeat what was read
      throw new Error('a record is changed')
    }
  }

  #read<T>(read: () => T): T {
    try {
      return read()
    } catch (thrown) {
      throw sqliteResult(thrown) === undefined
        ? damaged(this.#path, messageOf(thrown), thrown)
        : storeError(this.#path, thrown)
    }
  }
}

function decoderOf(id: string): (bytes: Uint8Array) => unknown {
  if (id === ACCESS_ID) return decodeAccess
  return id.startsWith(USAGE_PREFIX) ? decodeUsage : decodeRecord
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
