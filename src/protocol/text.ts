import { ANONYMOUS_TOKEN, MAX_STR8_BYTES } from './limits.js'

/** No control characters; no lone surrogates, which UTF-8 cannot carry. */
export const PLAIN_TEXT = /^[^\p{Cc}\p{Cs}]*$/u

const encoder = new TextEncoder()
// a byte order mark is a character like any other: a token that begins with one stays itself
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** The UTF-8 bytes of `text`, whole. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Reads UTF-8; each invalid sequence becomes U+FFFD (peers send domains as bytes). Never throws. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** Whether `text` can be a token: 1 to 255 bytes of plain text, and not the reserved word (A.2). */
export function isTokenText(text: string): boolean {
  const bytes = encodeUtf8(text).byteLength
  return bytes >= 1 && bytes <= MAX_STR8_BYTES && PLAIN_TEXT.test(text) && text !== ANONYMOUS_TOKEN
}
