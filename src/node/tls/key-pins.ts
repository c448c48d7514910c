import { createHash, type X509Certificate } from 'node:crypto'
import { LinkSocksError } from '../../errors.js'

const HASH_BYTES = 32
const HEX = /^[\da-f]{64}$/i
const BASE64 = /^[A-Za-z0-9+/]{43}=?$/

/**
 * Reads the SHA-256 of a public key: 64 hex digits, or base64, as `sha256//...` of curl too.
 * @returns as base64
 * @throws {LinkSocksError} ERR_OPTION
 */
export function parseKeyPin(text: string): string {
  const hash = text.replace(/^sha256\/\//, '')
  const bytes = HEX.test(hash) ? Buffer.from(hash, 'hex') : BASE64.test(hash) ? Buffer.from(hash, 'base64') : undefined
  if (bytes?.byteLength === HASH_BYTES) return bytes.toString('base64')
  throw new LinkSocksError('ERR_OPTION', 'must be the SHA-256 of a public key, as 64 hex digits or base64')
}

/** SHA-256 of the public key (SubjectPublicKeyInfo, RFC 7469 section 2.4) of a certificate, as base64: it stays when a certificate is renewed for the same key. */
export function keyPin(certificate: X509Certificate): string {
  const key = certificate.publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('base64')
}
