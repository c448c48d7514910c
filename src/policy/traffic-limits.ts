import { LinkSocksError } from '../errors.js'
import type { PolicyQuota, PolicyRate } from '../policy-fields.js'

/** Largest rate, in bytes a second. */
export const MAX_RATE = 1_000_000_000_000
/** Largest burst, in bytes. */
export const MAX_BURST_BYTES = 1_073_741_824
export const DEFAULT_BURST_BYTES = 65_536
export const MAX_QUOTA_BYTES = Number.MAX_SAFE_INTEGER

export const QUOTA_PERIODS = ['day', 'month', 'total'] as const
export const QUOTA_DIRECTIONS = ['up', 'down', 'both'] as const

const RATE_LIMITS: Readonly<Record<keyof PolicyRate, number>> = {
  up: MAX_RATE,
  down: MAX_RATE,
  burst: MAX_BURST_BYTES,
  streamUp: MAX_RATE,
  streamDown: MAX_RATE,
}

/** @throws {LinkSocksError} ERR_OPTION, which names the field */
export function checkRate(rate: PolicyRate): void {
  for (const [field, most] of Object.entries(RATE_LIMITS)) {
    const value = rate[field as keyof PolicyRate]
    if (value !== undefined) checkBytes(`rate.${field}`, value, most)
  }
}

/** @throws {LinkSocksError} ERR_OPTION, which names the field */
export function checkQuota({ bytes, period, direction }: PolicyQuota): void {
  checkBytes('quota.bytes', bytes, MAX_QUOTA_BYTES)
  if (!QUOTA_PERIODS.includes(period)) throw invalid(`quota.period must be one of ${QUOTA_PERIODS.join(', ')}`)
  if (direction !== undefined && !QUOTA_DIRECTIONS.includes(direction))
    throw invalid(`quota.direction must be one of ${QUOTA_DIRECTIONS.join(', ')}`)
}

function checkBytes(field: string, value: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return
  throw invalid(`${field} must be an integer from 1 to ${most}`)
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
