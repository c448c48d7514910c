import { LinkSocksError } from '../../errors.js'
import type { Crypto } from '../../ports.js'
import { hex } from '../../protocol/hex.js'
import { ANONYMOUS_TOKEN, MAX_STR8_BYTES } from '../../protocol/limits.js'
import { encodeUtf8, isTokenText, PLAIN_TEXT } from '../../protocol/text.js'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const GENERATED_CHARACTERS = 32
const ID_BYTES = 12
/** Bytes from here on would make some characters likelier than others: 248 = 4 * 62. */
const FAIR_BYTES = 248

/** What {@link newId} makes. */
export const ID_TEXT = /^[0-9a-f]{24}$/

/** 32 base62 characters (190 bits). */
export function generateToken(crypto: Crypto): string {
  let token = ''
  while (token.length < GENERATED_CHARACTERS) {
    for (const byte of crypto.randomBytes(GENERATED_CHARACTERS)) {
      if (byte < FAIR_BYTES && token.length < GENERATED_CHARACTERS) token += BASE62.charAt(byte % BASE62.length)
    }
  }
  return token
}

/** Longest label, in bytes. */
export const MAX_LABEL_BYTES = 200

/** Whether `text` can be a label. */
export function isLabel(text: string): boolean {
  const bytes = encodeUtf8(text).byteLength
  return bytes >= 1 && bytes <= MAX_LABEL_BYTES && PLAIN_TEXT.test(text)
}

/** @throws {LinkSocksError} ERR_TOKEN_INVALID */
export function checkLabel(label: string): void {
  if (isLabel(label)) return
  throw new LinkSocksError(
    'ERR_TOKEN_INVALID',
    `label must be 1 to ${MAX_LABEL_BYTES} bytes of UTF-8 without control characters`,
  )
}

/** A random public id: 96 bits as hex. */
export function newId(crypto: Crypto): string {
  return hex(crypto.randomBytes(ID_BYTES))
}

/** @throws {LinkSocksError} ERR_TOKEN_INVALID (naming `field`), ERR_TOKEN_RESERVED */
export function checkToken(token: string, field = 'token'): void {
  if (isTokenText(token)) return
  if (token === ANONYMOUS_TOKEN) {
    throw new LinkSocksError('ERR_TOKEN_RESERVED', `'${ANONYMOUS_TOKEN}' is reserved and cannot be used as a token`)
  }
  throw new LinkSocksError(
    'ERR_TOKEN_INVALID',
    `${field} must be 1 to ${MAX_STR8_BYTES} bytes of UTF-8 without control characters`,
  )
}
