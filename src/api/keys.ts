/** The keys of the HTTP API. */
import { LinkSocksError } from '../errors.js'
import type { Crypto } from '../ports.js'

/** One of several keys for the HTTP API. */
export interface ApiKey {
  /** Stands in the audit line: 1 to 64 letters, digits, dots, underscores and hyphens. */
  readonly name: string
  /** A read-only key changes nothing and sees no secret. */
  readonly role: 'full' | 'read-only'
  readonly key: string
}

/** Longest API key, in characters: it has to fit in one HTTP header. */
export const MAX_API_KEY_LENGTH = 1_024
/** What {@link isApiKey} takes, in words. */
export const API_KEY_FORM = `1 to ${MAX_API_KEY_LENGTH} ASCII characters without blanks at its ends`
const VISIBLE = /^[!-~]([ -~]*[!-~])?$/

/**
 * Whether `text` can be an API key or the metrics key: it arrives in an HTTP header as it was sent, so it is visible ASCII
 * with blanks inside only (RFC 9110 section 5.5).
 */
export function isApiKey(text: string): boolean {
  return text.length <= MAX_API_KEY_LENGTH && VISIBLE.test(text)
}

/** The key of a request, without its secret. */
export type KeyHolder = Pick<ApiKey, 'name' | 'role'>

/** Says whose key an `X-API-Key` header is; `null` is an absent header. */
export type KeyCheck = (header: string | null) => KeyHolder | undefined

/**
 * Compares hashes of equal length with those of every key to the last byte, so that the time taken shows neither a key nor its
 * length, nor which one is nearest. A key counts as its UTF-8 bytes, the header as the bytes that were on the wire.
 * @throws {LinkSocksError} ERR_OPTION: an empty key
 */
export function createKeyCheck(keys: readonly ApiKey[], crypto: Crypto): KeyCheck {
  if (keys.some(({ key }) => key === '')) throw new LinkSocksError('ERR_OPTION', 'an API key must not be empty')
  const known = keys.map(({ name, role, key }) => ({
    holder: { name, role },
    hash: crypto.sha256(new TextEncoder().encode(key)),
  }))
  return (header) => {
    const given = crypto.sha256(headerBytes(header ?? ''))
    let found: KeyHolder | undefined
    for (const { holder, hash } of known) {
      let difference = header === null ? 1 : 0
      for (const [i, byte] of hash.entries()) difference |= byte ^ (given[i] ?? 0x100)
      if (difference === 0) found = holder
    }
    return found
  }
}

/** A header value is a byte string: one character per byte (Fetch standard, `ByteString`). */
function headerBytes(value: string): Uint8Array {
  return Uint8Array.from(value, (char) => char.charCodeAt(0))
}
