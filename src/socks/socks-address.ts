import ipaddr from 'ipaddr.js'
import { bareHost, hasZone, MAX_PORT, parseIp } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import { decodeUtf8, encodeUtf8 } from '../protocol/text.js'
import type { Decoded } from '../streams/handshake-stream.js'

/** Address types of RFC 1928 section 5. */
const Atyp = { Ipv4: 0x01, Domain: 0x03, Ipv6: 0x04 } as const

/** Longest domain: its length is one byte. */
const MAX_DOMAIN_BYTES = 255

/**
 * Decodes ATYP DST.ADDR DST.PORT (RFC 1928 section 5), also BND.ADDR BND.PORT, at `offset`; `bytesRead` counts from there.
 * Domains are bytes to SOCKS; they are read as UTF-8.
 * @returns `undefined` while `buf` is too short
 * @throws {LinkSocksError} ERR_SOCKS_ATYP; ERR_SOCKS_MALFORMED (empty domain); ERR_DIAL_HOST_UNREACHABLE (spaces or control characters in it)
 */
export function decodeAddress(buf: Uint8Array, offset: number): Decoded<Target> | undefined {
  return decode(buf, offset, (bytes) => {
    if (bytes.length === 0) throw new LinkSocksError('ERR_SOCKS_MALFORMED', 'empty domain')
    return domainText(bytes)
  })
}

/**
 * The same for an address that matters little: some proxies write a name that is none into BND.ADDR. A domain that is empty or
 * broken is read as the empty text.
 */
export function decodeBoundAddress(buf: Uint8Array, offset: number): Decoded<Target> | undefined {
  return decode(buf, offset, (bytes) => (isUnsafe(bytes) ? '' : decodeUtf8(bytes)))
}

function decode(buf: Uint8Array, offset: number, domain: (bytes: Uint8Array) => string): Decoded<Target> | undefined {
  const atyp = buf[offset]
  if (atyp === undefined) return undefined
  const start = offset + 1
  switch (atyp) {
    case Atyp.Ipv4:
      return withPort(buf, offset, start, start + 4, ipv4Text)
    case Atyp.Ipv6:
      return withPort(buf, offset, start, start + 16, ipv6Text)
    case Atyp.Domain: {
      const length = buf[start]
      if (length === undefined) return undefined
      return withPort(buf, offset, start + 1, start + 1 + length, domain)
    }
    default:
      throw new LinkSocksError('ERR_SOCKS_ATYP', `unknown address type ${atyp}`)
  }
}

/**
 * Encodes ATYP ADDR PORT: IP text as the address it is, everything else as a domain.
 * @throws {LinkSocksError} ERR_SOCKS_MALFORMED when `host` is empty, over 255 bytes long or has a zone id, or
 * `port` is outside 0..65535
 */
export function encodeAddress({ host, port }: Target): Uint8Array {
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) {
    throw new LinkSocksError('ERR_SOCKS_MALFORMED', `port ${port} is outside 0..${MAX_PORT}`)
  }
  const address = encodeHost(host)
  const encoded = new Uint8Array(address.length + 2)
  encoded.set(address)
  encoded[address.length] = port >> 8
  encoded[address.length + 1] = port & 0xff
  return encoded
}

/** Dotted text of 4 bytes. */
function ipv4Text(bytes: Uint8Array): string {
  return bytes.join('.')
}

/**
 * RFC 5952 text of 16 bytes: section 4, and section 5 for IPv4-mapped addresses. These stay IPv6, other than in
 * canonicalIp(): what was read is written again as the same bytes.
 */
function ipv6Text(bytes: Uint8Array): string {
  const address = new ipaddr.IPv6(Array.from(bytes))
  return address.isIPv4MappedAddress() ? `::ffff:${address.toIPv4Address().toString()}` : address.toString()
}

/** 0x7f is DEL; no name has these, and a resolver may cut the name at a NUL. */
function isUnsafe(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte <= 0x20 || byte === 0x7f)
}

function domainText(bytes: Uint8Array): string {
  if (isUnsafe(bytes)) {
    throw new LinkSocksError(
      'ERR_DIAL_HOST_UNREACHABLE',
      'a name with spaces or control characters cannot be looked up',
    )
  }
  return bareHost(decodeUtf8(bytes))
}

function withPort(
  buf: Uint8Array,
  offset: number,
  start: number,
  end: number,
  hostText: (bytes: Uint8Array) => string,
): Decoded<Target> | undefined {
  const high = buf[end]
  const low = buf[end + 1]
  if (high === undefined || low === undefined) return undefined
  const value = { host: hostText(buf.subarray(start, end)), port: (high << 8) | low }
  return { value, bytesRead: end + 2 - offset }
}

function encodeHost(host: string): Uint8Array {
  const ip = parseIp(host)
  if (ip !== undefined) return Uint8Array.of(ip.kind() === 'ipv4' ? Atyp.Ipv4 : Atyp.Ipv6, ...ip.toByteArray())
  if (hasZone(host)) throw new LinkSocksError('ERR_SOCKS_MALFORMED', 'SOCKS5 carries no IPv6 zone id')
  const domain = encodeUtf8(host)
  if (domain.length === 0 || domain.length > MAX_DOMAIN_BYTES) {
    throw new LinkSocksError('ERR_SOCKS_MALFORMED', `domain of ${domain.length} bytes; 1 to ${MAX_DOMAIN_BYTES} fit`)
  }
  return Uint8Array.of(Atyp.Domain, domain.length, ...domain)
}
