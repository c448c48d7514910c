import { SOCKS_VERSION } from '../socks/codec.js'
import { SOCKS4_VERSION } from '../socks/codec4.js'
import type { Decoded } from '../streams/handshake-stream.js'

/** What a connection speaks, as its first bytes show; `other` is none of these. */
export type InboundProtocol = 'socks5' | 'socks4' | 'http' | 'tls' | 'other'

/** The longest method that is registered, and the space after it. */
const MAX_METHOD_BYTES = 18
/** First bytes of a connection that are looked at: an empty line, and a method after it. */
export const MAX_RECOGNISED_BYTES = 20

/** ContentType `handshake` of the record that a ClientHello comes in (RFC 8446 section 5.1). */
const TLS_HANDSHAKE = 0x16

/** A method and the space after it. RFC 9110 section 9.1 allows more characters; no method that is registered has others. */
const HTTP_START = /^[A-Z][A-Z-]+ /
const HTTP_BEGINNING = /^[A-Z][A-Z-]*$/
const EMPTY_LINE = '\r\n'

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
  const text = String.fromCharCode(...head)
  if (EMPTY_LINE.startsWith(text)) return undefined
  // an empty line before a request is ignored (RFC 9112 section 2.2)
  const line = text.startsWith(EMPTY_LINE) ? text.slice(EMPTY_LINE.length) : text
  if (HTTP_START.test(line)) return 'http'
  return HTTP_BEGINNING.test(line) && line.length < MAX_METHOD_BYTES ? undefined : 'other'
}
