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
