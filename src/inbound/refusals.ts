import { LinkSocksError } from '../errors.js'
import { encodeMethodChoice, Method } from '../socks/codec.js'
import { Cd4Reply, encodeSocks4Reply } from '../socks/codec4.js'
import type { SocksConnection } from '../socks/connection.js'

const SOCKS4_REJECTED = encodeSocks4Reply(Cd4Reply.Rejected)

const HTTP_BODY = 'This port does not serve HTTP.\n'

/** Shown by a browser or an HTTP client that was pointed at the port. */
const HTTP_REJECTED: Uint8Array = new TextEncoder().encode(
  'HTTP/1.1 400 Bad Request\r\n' +
    'Content-Type: text/plain; charset=utf-8\r\n' +
    `Content-Length: ${HTTP_BODY.length}\r\n` +
    'Connection: close\r\n' +
    `\r\n${HTTP_BODY}`,
)

/** @throws {LinkSocksError} ERR_SOCKS_VERSION, after the client was answered in SOCKS5 */
export async function refuseSocks5({ handshake }: SocksConnection): Promise<never> {
  handshake.write(encodeMethodChoice(Method.NoneAcceptable))
  throw new LinkSocksError('ERR_SOCKS_VERSION', 'the client speaks SOCKS5, which this port does not serve')
}

/** @throws {LinkSocksError} ERR_SOCKS_VERSION, after the client was answered in SOCKS4 */
export async function refuseSocks4({ handshake }: SocksConnection): Promise<never> {
  handshake.write(SOCKS4_REJECTED)
  throw new LinkSocksError('ERR_SOCKS_VERSION', 'the client speaks SOCKS4, which this port does not serve')
}

/** @throws {LinkSocksError} ERR_SOCKS_VERSION, after the client was answered in HTTP */
export async function refuseHttp({ handshake }: SocksConnection): Promise<never> {
  handshake.write(HTTP_REJECTED)
  throw new LinkSocksError('ERR_SOCKS_VERSION', 'the client speaks HTTP, which this port does not serve')
}
