import { addressText } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { Target } from '../../ports.js'

/** What dialling `target` is refused with where a rule or a policy says no. */
export function notAllowed(target: Target, why: string): LinkSocksError {
  return new LinkSocksError('ERR_DIAL_NOT_ALLOWED', `${addressText(target)} is not allowed: ${why}`)
}
