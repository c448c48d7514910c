import { LinkSocksError } from '../../errors.js'
import type { UsageGrowth } from '../../handover.js'
import type { TokenUsage } from '../../ports.js'
import { decodeUtf8, encodeUtf8 } from '../../protocol/text.js'
import { REMEMBERED_PERIODS } from '../traffic/usage.js'

const DAY = /^[+-]?[0-9]{4,6}-[0-9]{2}-[0-9]{2}$/
const MONTH = /^[+-]?[0-9]{4,6}-[0-9]{2}$/

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isPair = (value: unknown): boolean => Array.isArray(value) && value.length === 2 && value.every(isCount)

function isPeriods(value: unknown, name: RegExp): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const entries = Object.entries(value)
  return entries.length <= REMEMBERED_PERIODS && entries.every(([key, pair]) => name.test(key) && isPair(pair))
}

function isUsage(value: unknown): value is TokenUsage {
  if (typeof value !== 'object' || value === null) return false
  const { since, ...counts } = value as Record<keyof TokenUsage, unknown>
  return Number.isSafeInteger(since) && isCounts(counts)
}

function isCounts(value: unknown): value is UsageGrowth[string] {
  if (typeof value !== 'object' || value === null) return false
  const { total, days, months, ...more } = value as Record<keyof UsageGrowth[string], unknown>
  return isPair(total) && isPeriods(days, DAY) && isPeriods(months, MONTH) && Object.keys(more).length === 0
}

function isGrowth(value: unknown): value is UsageGrowth {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every(isCounts)
}

/** What a token used, as JSON. @throws {LinkSocksError} ERR_NOT_STORED */
export function encodeUsage(usage: TokenUsage): Uint8Array {
  if (!isUsage(usage)) throw new LinkSocksError('ERR_NOT_STORED', 'not what a token used')
  return encodeUtf8(JSON.stringify(usage))
}

/** Reads what {@link encodeUsage} wrote. @throws {LinkSocksError} ERR_STORE */
export function decodeUsage(bytes: Uint8Array): TokenUsage {
  const value: unknown = JSON.parse(decodeUtf8(bytes))
  if (isUsage(value)) return value
  throw new LinkSocksError('ERR_STORE', 'not what a token used')
}

/** What counters grew by, as JSON. @throws {LinkSocksError} ERR_NOT_STORED */
export function encodeGrowth(growth: UsageGrowth): Uint8Array {
  if (!isGrowth(growth)) throw new LinkSocksError('ERR_NOT_STORED', 'not what counters grew by')
  return encodeUtf8(JSON.stringify(growth))
}

/** Reads what {@link encodeGrowth} wrote. @throws {LinkSocksError} ERR_STORE */
export function decodeGrowth(bytes: Uint8Array): UsageGrowth {
  const value: unknown = JSON.parse(decodeUtf8(bytes))
  if (isGrowth(value)) return value
  throw new LinkSocksError('ERR_STORE', 'not what counters grew by')
}
