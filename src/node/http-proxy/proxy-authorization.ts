import { Buffer } from 'node:buffer'
import type { Credentials } from '../../ports.js'
import { credentialsMatch } from '../../socks/credentials.js'

const BASIC = /^basic +([\w+/=-]+) *$/i

/** Whether the fields Proxy-Authorization hold what a client must present (RFC 7617, in UTF-8); several of them hold nothing. */
export function isAuthorized(expected: Credentials, fields: readonly string[]): boolean {
  const [, encoded = ''] = BASIC.exec(fields.length === 1 ? (fields[0] ?? '') : '') ?? []
  const bytes = Buffer.from(encoded, 'base64')
  const colon = bytes.indexOf(0x3a)
  const [username, password] = [bytes.subarray(0, Math.max(0, colon)), bytes.subarray(colon + 1)]
  return credentialsMatch(expected, { username, password }) && colon >= 0
}
