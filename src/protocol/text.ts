import { MAX_STR8_BYTES } from './limits.js'

const encoder = new TextEncoder()
// a byte order mark is a character like any other: a token that begins with one stays itself
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The UTF-8 bytes of `text`, cut to 255 bytes at a character boundary (A.3); without the Len byte. */
export function encodeUtf8Str8(text: string): Uint8Array {
  // every UTF-16 unit takes at least one byte
  const bytes = encoder.encode(text.slice(0, MAX_STR8_BYTES))
  if (bytes.byteLength <= MAX_STR8_BYTES) return bytes
  let end = MAX_STR8_BYTES
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return bytes.slice(0, end)
}

/** The UTF-8 bytes of `text`, whole. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Reads UTF-8; each invalid sequence becomes U+FFFD (peers send domains as bytes). Never throws. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}
