import { SOCKS_VERSION } from '../socks/codec.js'
import type { Decoded } from '../streams/handshake-stream.js'

/** What a connection speaks, as its first bytes show; `other` is none of these. */
export type InboundProtocol = 'socks5' | 'socks4' | 'http' | 'tls' | 'other'

/** First bytes of a connection that are looked at: the longest beginning of an HTTP request that is known. */
export const MAX_RECOGNISED_BYTES = 8

/** VN of SOCKS4 and SOCKS4a. */
const SOCKS4_VERSION = 0x04
/** ContentType `handshake` of the record that a ClientHello comes in (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 0x16

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
 * Recognises a connection by its first bytes, as soon as they leave no doubt, and reads none of them: the server of the
 * protocol finds all there.
 * @returns `undefined` while `buf` is the beginning of more than one, which {@link MAX_RECOGNISED_BYTES} never are
 */
export function recognise(buf: Uint8Array): Decoded<InboundProtocol> | undefined {
  const protocol = protocolOf(buf.subarray(0, MAX_RECOGNISED_BYTES))
  return protocol && { value: protocol, bytesRead: 0 }
}

function protocolOf(head: Uint8Array): InboundProtocol | undefined {
  switch (head[0]) {
    case undefined:
      return undefined
    case SOCKS_VERSION:
      return 'socks5'
    case SOCKS4_VERSION:
      return 'socks4'
    case TLS_HANDSHAKE:
      return 'tls'
    default:
      return textProtocolOf(head)
  }
}

function textProtocolOf(head: Uint8Array): InboundProtocol | undefined {
  const candidates = HTTP_STARTS.filter((start) => agree(start, head))
  if (candidates.length === 0) return 'other'
  return candidates.some((start) => start.length <= head.length) ? 'http' : undefined
}

/** Whether one is the beginning of the other. */
function agree(a: Uint8Array, b: Uint8Array): boolean {
  const length = Math.min(a.length, b.length)
  return a.subarray(0, length).every((byte, index) => byte === b[index])
}
