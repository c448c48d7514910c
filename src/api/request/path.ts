/**
 * Undoes the percent-encoding of one path segment (RFC 3986 section 2.1). Works on the path as it was on the wire, one
 * character per byte, because a parsed URL has already swallowed segments such as `%2e%2e`.
 * @returns `undefined` for a broken escape, and for bytes that are not UTF-8
 */
export function decodeSegment(segment: string): string | undefined {
  const bytes = new Uint8Array(segment.length)
  let length = 0
  for (let i = 0; i < segment.length; i++) {
    let byte = segment.charCodeAt(i)
    if (byte === PERCENT) {
      const digits = segment.slice(i + 1, i + 3)
      if (!HEX_PAIR.test(digits)) return undefined
      byte = Number.parseInt(digits, 16)
      i += 2
    }
    if (byte > 0xff) return undefined
    bytes[length++] = byte
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length))
  } catch {
    return undefined
  }
}

const PERCENT = 0x25
const HEX_PAIR = /^[\da-f]{2}$/i
