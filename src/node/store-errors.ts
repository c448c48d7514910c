import { LinkSocksError } from '../errors.js'
import { sqliteCode } from './sqlite.js'

/** SQLite's names for a file that holds something else than it should. */
const DAMAGED: ReadonlySet<string> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_CONSTRAINT', 'SQLITE_ERROR'])
const IN_USE: ReadonlySet<string> = new Set(['SQLITE_BUSY', 'SQLITE_LOCKED'])

/** ERR_STORE for a database that does not hold what was written to it. */
export function damaged(path: string, problem: string, cause?: unknown): LinkSocksError {
  const advice = `put a backup in its place, or move it and ${path}-journal away to begin without tokens`
  return new LinkSocksError('ERR_STORE', `${path} is damaged (${problem}): ${advice}`, { cause })
}

/** ERR_STORE for whatever opening or reading a database threw. */
export function storeError(path: string, thrown: unknown): LinkSocksError {
  if (thrown instanceof LinkSocksError) return thrown
  const problem = thrown instanceof Error ? thrown.message : String(thrown)
  // SQLITE_IOERR_READ and the like begin with the name of their kind
  const code = /^SQLITE_[A-Z]+/.exec(sqliteCode(thrown))?.[0] ?? ''
  if (IN_USE.has(code)) {
    const advice = 'stop it, or give each server a data directory of its own'
    return new LinkSocksError('ERR_STORE', `${path} is in use by another process: ${advice}`, { cause: thrown })
  }
  if (DAMAGED.has(code)) return damaged(path, problem, thrown)
  return new LinkSocksError('ERR_STORE', `can't open ${path}: ${problem}`, { cause: thrown })
}
