import type { Crypto } from '../ports.js'

/** Says whether an `X-API-Key` header is the key; `null` is an absent header. */
export type KeyCheck = (header: string | null) => boolean

/**
 * Compares hashes of equal length to the last byte, so that the time taken tells neither the key nor its length.
 * `apiKey` counts as its UTF-8 bytes, the header as the bytes that were on the wire.
 */
export function createKeyCheck(apiKey: string, crypto: Crypto): KeyCheck {
  const expected = crypto.sha256(new TextEncoder().encode(apiKey))
  return (header) => {
    const given = crypto.sha256(headerBytes(header ?? ''))
    let difference = header === null ? 1 : 0
    for (const [i, byte] of expected.entries()) difference |= byte ^ (given[i] ?? 0x100)
    return difference === 0
  }
}

/** A header value is a byte string: one character per byte (Fetch standard, `ByteString`). */
function headerBytes(value: string): Uint8Array {
  return Uint8Array.from(value, (char) => char.charCodeAt(0))
}
