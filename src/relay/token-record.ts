import type { TokenRecord } from '../ports.js'
import type { Token } from './tokens.js'

/** A token as its store keeps it. */
export function recordOf(token: Token): TokenRecord {
  const { id, type, createdAt, label, enabled, expiresAt } = token
  return { id, type, token: token.token, createdAt, label, enabled, expiresAt, ...detailsOf(token) }
}

function detailsOf(token: Token): Partial<TokenRecord> {
  if (token.type === 'forward') return {}
  if (token.type === 'connector') return { reverseToken: token.reverse.token }
  const { autonomy, port, credentials } = token
  return { autonomy, port: port?.port, ...credentials }
}
