import { LinkSocksError } from '../errors.js'
import type { SocksConnection } from '../socks/connection.js'

/** VN 0, CD 91 (rejected or failed), then port and address, which a client ignores. */
const SOCKS4_REJECTED: Uint8Array = Uint8Array.of(0x00, 0x5b, 0, 0, 0, 0, 0, 0)

const HTTP_BODY = 'This port speaks SOCKS5, not HTTP. Set it as a SOCKS5 proxy (socks5h://host:port).\n'

/** Shown by a browser or an HTTP client that was pointed at the port. */
const HTTP_REJECTED: Uint8Array = new TextEncoder().encode(
  'HTTP/1.1 400 Bad Request\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${HTTP_BODY.length}\r\n` +
    'Connection: close\r\n' +
    `\r\n${HTTP_BODY}`,
)

/** @throws {LinkSocksError} ERR_SOCKS_VERSION, after the client was answered in SOCKS4 */
export async function refuseSocks4({ handshake }: SocksConnection): Promise<never> {
  handshake.write(SOCKS4_REJECTED)
  throw new LinkSocksError('ERR_SOCKS_VERSION', 'the client speaks SOCKS4')
}

/** @throws {LinkSocksError} ERR_SOCKS_VERSION, after the client was answered in HTTP */
export async function refuseHttp({ handshake }: SocksConnection): Promise<never> {
  handshake.write(HTTP_REJECTED)
  throw new LinkSocksError('ERR_SOCKS_VERSION', 'the client speaks HTTP')
}
