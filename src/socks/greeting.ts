import { LinkSocksError } from '../errors.js'
import type { Decoded } from '../streams/handshake-stream.js'
import { decodeMethods, SOCKS_VERSION } from './codec.js'

/** What a client that connected to a SOCKS5 port speaks. */
export type Greeting =
  | { readonly speaks: 'socks5'; readonly methods: Uint8Array }
  | { readonly speaks: 'socks4' | 'http' }

const SOCKS4_VERSION = 0x04

/** VN 0, CD 91 (rejected or failed), then port and address, which a client ignores. */
export const SOCKS4_REJECTED: Uint8Array = Uint8Array.of(0x00, 0x5b, 0, 0, 0, 0, 0, 0)

const HTTP_BODY = 'This port speaks SOCKS5, not HTTP. Set it as a SOCKS5 proxy (socks5h://host:port).\n'

/** What a browser or an HTTP client pointed at the port is told. */
export const HTTP_REJECTED: Uint8Array = new TextEncoder().encode(
  'HTTP/1.1 400 Bad Request\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${HTTP_BODY.length}\r\n` +
    'Connection: close\r\n' +
    `\r\n${HTTP_BODY}`,
)

// RFC 9110 section 9, RFC 5789, and the preface of HTTP/2 (RFC 9113 section 3.4)
const HTTP_STARTS = [
  'GET ',
  'HEAD ',
  'POST ',
  'PUT ',
  'DELETE ',
  'CONNECT ',
  'OPTIONS ',
  'TRACE ',
  'PATCH ',
  'PRI * ',
].map((start) => new TextEncoder().encode(start))

/**
 * Reads the first message of a client. SOCKS4 and HTTP are only recognised, `bytesRead` is then all there is.
 * @throws {LinkSocksError} ERR_SOCKS_VERSION when it is none of these
 */
export function decodeGreeting(buf: Uint8Array): Decoded<Greeting> | undefined {
  if (buf.length === 0) return undefined
  if (buf[0] === SOCKS_VERSION) {
    const methods = decodeMethods(buf)
    return methods && { value: { speaks: 'socks5', methods: methods.value }, bytesRead: methods.bytesRead }
  }
  if (buf[0] === SOCKS4_VERSION) return { value: { speaks: 'socks4' }, bytesRead: buf.length }
  const candidates = HTTP_STARTS.filter((start) => agree(start, buf))
  if (candidates.length === 0)
    throw new LinkSocksError('ERR_SOCKS_VERSION', `version ${buf[0]} instead of ${SOCKS_VERSION}`)
  if (candidates.every((start) => start.length > buf.length)) return undefined
  return { value: { speaks: 'http' }, bytesRead: buf.length }
}

/** Whether one is the beginning of the other. */
function agree(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length)
  return a.subarray(0, length).every((byte, index) => byte === b[index])
}
