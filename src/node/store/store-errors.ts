import { LinkSocksError } from '../../errors.js'
import { sqliteResult } from './sqlite.js'
import { ownerText, type StoreOwner } from './store-owner.js'

/** ERR_STORE for a database that does not hold what was written to it. */
export function damaged(path: string, problem: string, cause?: unknown): LinkSocksError {
  const advice = `put a backup in its place, or move it and ${path}-journal away to begin without tokens`
  return new LinkSocksError('ERR_STORE', `${path} is damaged (${problem}): ${advice}`, { cause })
}

/** Whether opening a database failed because another process has it. */
export function isInUse(thrown: unknown): boolean {
  return sqliteResult(thrown instanceof LinkSocksError ? thrown.cause : thrown) === 'in-use'
}

/** ERR_STORE for whatever opening or reading a database threw. @param owner who has it, if it is in use and known */
export function storeError(path: string, thrown: unknown, owner?: StoreOwner): LinkSocksError {
  if (thrown instanceof LinkSocksError) return thrown
  const problem = thrown instanceof Error ? thrown.message : String(thrown)
  const result = sqliteResult(thrown)
  if (result === 'in-use') {
    const advice = 'stop it, or give each server a data directory of its own'
    const who = owner === undefined ? 'another process' : ownerText(owner)
    return new LinkSocksError('ERR_STORE', `${path} is in use by ${who}: ${advice}`, { cause: thrown })
  }
  if (result === 'damaged') return damaged(path, problem, thrown)
  return new LinkSocksError('ERR_STORE', `can't open ${path}: ${problem}`, { cause: thrown })
}
