import type { Crypto } from '../ports.js'
import { hex } from './hex.js'
import { encodeUtf8 } from './text.js'

/** The lowercase hex SHA-256 by which the URL form names a token (docs/protocol.md A.2). */
export function tokenHash(token: string, crypto: Crypto): string {
  return hex(crypto.sha256(encodeUtf8(token)))
}
