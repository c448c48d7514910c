import type { Crypto } from '../ports.js'
import { encodeUtf8 } from './text.js'

/** Of every byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hex. */
export function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

/** The lowercase hex SHA-256 by which the URL form names a token (docs/protocol.md A.2). */
export function tokenHash(token: string, crypto: Crypto): string {
  return hex(crypto.sha256(encodeUtf8(token)))
}
