import { LinkSocksError } from '../../errors.js'
import type { Admission } from './authenticate.js'

/** Sessions of one token, suspended ones included. */
export const MAX_SESSIONS_PER_TOKEN = 4_096

/**
 * Ends the session that is suspended longest where a token has as many as it may; without one, refuses.
 * @throws {LinkSocksError} ERR_LIMIT
 */
export function makeRoom({ token, refuse }: Pick<Admission, 'token' | 'refuse'>): void {
  if (token.clients.size + token.suspended.size < MAX_SESSIONS_PER_TOKEN) return
  const [oldest] = token.suspended
  if (oldest !== undefined) {
    oldest.session.abort(new LinkSocksError('ERR_LIMIT', 'the token has too many sessions'))
    return
  }
  const reason = 'too many links with this token'
  refuse(reason)
  throw new LinkSocksError('ERR_LIMIT', reason)
}
