import { canonicalIp, isIpv6 } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import { remoteText } from '../../log.js'
import type { Credentials, Target } from '../../ports.js'
import type { Decoded } from '../../streams/handshake-stream.js'

const LF = 0x0a
const CR = 0x0d
/** `HTTP/1.1 200 Connection established`: the reason may be missing (RFC 9112 section 4). */
const STATUS_LINE = /^HTTP\/1\.\d (?<status>[1-5]\d\d)(?: (?<reason>.*))?$/
const STATUS_LINE_START = 'HTTP/1.'
/** Letters, digits, dots, hyphens and underscores: nothing else can be in a name, or change what the request says. */
const DOMAIN = /^[a-z0-9._-]+$/i

export interface HttpAnswer {
  readonly status: number
  /** The proxy's own words, safe to show. */
  readonly reason: string
}

/**
 * A CONNECT request (RFC 9110 section 9.3.6), with Basic credentials (RFC 7617) in UTF-8.
 * @throws {LinkSocksError} ERR_DIAL_FAILED when the host is neither IP text nor a plain domain
 */
export function encodeHttpConnect(target: Target, credentials: Credentials | undefined): Uint8Array {
  const authority = `${authorityHost(target.host)}:${target.port}`
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]
  if (credentials !== undefined) lines.push(`Proxy-Authorization: Basic ${basic(credentials)}`)
  return new TextEncoder().encode(`${lines.join('\r\n')}\r\n\r\n`)
}

/**
 * The status line and header of an answer to CONNECT; the header's fields mean nothing here. A wrong beginning is
 * refused at once, a lone LF ends a line too (RFC 9112 section 2.2).
 * @returns `undefined` while the header is not whole; bytes from `bytesRead` on belong to the tunnel
 * @throws {LinkSocksError} ERR_PROXY_FAILED
 */
export function decodeHttpAnswer(buf: Uint8Array): Decoded<HttpAnswer> | undefined {
  const start = latin1(buf.subarray(0, STATUS_LINE_START.length))
  if (!STATUS_LINE_START.startsWith(start))
    throw new LinkSocksError('ERR_PROXY_FAILED', 'the proxy does not answer in HTTP/1.x')
  const firstLf = buf.indexOf(LF)
  if (firstLf < 0) return undefined
  const line = STATUS_LINE.exec(latin1(buf.subarray(0, buf[firstLf - 1] === CR ? firstLf - 1 : firstLf)))?.groups
  if (line === undefined) throw new LinkSocksError('ERR_PROXY_FAILED', 'the proxy answers without a valid status line')
  const bytesRead = headerEnd(buf, firstLf)
  if (bytesRead === undefined) return undefined
  return { value: { status: Number(line.status), reason: remoteText(line.reason ?? '') }, bytesRead }
}

/** The index after the empty line that follows the line ending at `lf`. */
function headerEnd(buf: Uint8Array, lf: number): number | undefined {
  for (let at = lf; at >= 0; at = buf.indexOf(LF, at + 1)) {
    if (buf[at + 1] === LF) return at + 2
    if (buf[at + 1] === CR && buf[at + 2] === LF) return at + 3
  }
  return undefined
}

function authorityHost(host: string): string {
  const ip = canonicalIp(host)
  if (ip !== undefined) return isIpv6(ip) ? `[${ip}]` : ip
  if (DOMAIN.test(host)) return host
  throw new LinkSocksError('ERR_DIAL_FAILED', "an HTTP proxy can't be asked for this host: not a plain domain")
}

function basic({ username, password }: Credentials): string {
  return btoa(latin1(new TextEncoder().encode(`${username}:${password}`)))
}

function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')
}
