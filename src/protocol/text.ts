import { MAX_STR8_BYTES } from './limits.js'

const encoder = new TextEncoder()
// a byte order mark is a character like any other: a token that begins with one stays itself
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The UTF-8 bytes of `text`, cut to 255 bytes at a character boundary (A.3); without the Len byte. */
export function encodeUtf8Str8(text: string): Uint8Array {
  // no UTF-16 unit takes more than three bytes: the usual text fits as it is
  if (text.length * 3 <= MAX_STR8_BYTES) return encoder.encode(text)
  const room = new Uint8Array(MAX_STR8_BYTES)
  // encodeInto() never writes part of a character
  return room.slice(0, encoder.encodeInto(text, room).written)
}

/** The UTF-8 bytes of `text`, whole. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Reads UTF-8; each invalid sequence becomes U+FFFD (peers send domains as bytes). Never throws. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}
