import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import { decodeAddress, encodeAddress } from './socks-address.js'

/** RSV(2) FRAG(1), before the address. */
const FIXED_HEADER_BYTES = 3

/** One datagram between a SOCKS client and the relay (RFC 1928 section 7). */
export interface SocksDatagram {
  /** FRAG; 0 stands alone. Fragments are not put together by anyone here. */
  readonly frag: number
  /** DST.ADDR and DST.PORT: where it goes to, or where it came from. */
  readonly address: Target
  /** What follows the header, a view. */
  readonly data: Uint8Array
}

/**
 * RSV(2) FRAG(1) ATYP DST.ADDR DST.PORT DATA (RFC 1928 section 7); RSV is not looked at.
 * @throws {LinkSocksError} ERR_SOCKS_MALFORMED (shorter than its header, empty domain), ERR_SOCKS_ATYP
 */
export function decodeDatagram(buf: Uint8Array): SocksDatagram {
  const address = decodeAddress(buf, FIXED_HEADER_BYTES)
  const frag = buf[2]
  if (address === undefined || frag === undefined) {
    throw new LinkSocksError('ERR_SOCKS_MALFORMED', `datagram of ${buf.length} bytes is shorter than its header`)
  }
  return { frag, address: address.value, data: buf.subarray(FIXED_HEADER_BYTES + address.bytesRead) }
}

/** The same layout with RSV and FRAG 0. @throws {LinkSocksError} ERR_SOCKS_MALFORMED, as encodeAddress() */
export function encodeDatagram(address: Target, data: Uint8Array): Uint8Array {
  const encoded = encodeAddress(address)
  const datagram = new Uint8Array(FIXED_HEADER_BYTES + encoded.length + data.length)
  datagram.set(encoded, FIXED_HEADER_BYTES)
  datagram.set(data, FIXED_HEADER_BYTES + encoded.length)
  return datagram
}
