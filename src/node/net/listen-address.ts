import { addressText, isPort } from '../../address.js'
import { LinkSocksError } from '../../errors.js'

/** Where a server takes connections. */
export type ListenAddress =
  | {
      readonly host: string
      /** 0 lets the system pick. */
      readonly port: number
      /** @default false */
      readonly tls?: boolean | undefined
    }
  | {
      /** Of a Unix domain socket. */
      readonly path: string
    }

/** Longest path of a Unix domain socket in bytes; systems differ by a few. */
const MAX_SOCKET_PATH_BYTES = 103

const UNIX = /^ws\+unix:(?:\/\/)?(\/.*)$/s
const FORM = 'must be ws://HOST:PORT, wss://HOST:PORT or ws+unix:/PATH'

/**
 * Reads `ws://0.0.0.0:8765`, `wss://[::]:443` or `ws+unix:/run/linksocks.sock`. Without a port ws is 80 and wss 443.
 * @throws {LinkSocksError} ERR_OPTION
 */
export function parseListenAddress(text: string): ListenAddress {
  const [, path] = UNIX.exec(text) ?? []
  if (path !== undefined) {
    if (path.includes('\0') || Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES || path.endsWith('/')) {
      throw invalid(`the path of a Unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes and ends in a name`)
    }
    return { path }
  }
  const [, scheme, v6, name, port] =
    /^(wss?):\/\/(?:\[([\da-f:.]+)\]|([^\s/:@?#[\]]+))(?::(\d{1,5}))?\/?$/i.exec(text) ?? []
  const host = v6 ?? name
  if (scheme === undefined || host === undefined) throw invalid(`${FORM}, not '${text}'`)
  const tls = scheme.toLowerCase() === 'wss'
  const number = port === undefined ? (tls ? 443 : 80) : Number(port)
  if (number !== 0 && !isPort(number)) throw invalid(`${port} is not a port number`)
  return { host, port: number, tls }
}

/** As {@link parseListenAddress} reads it. */
export function listenText(address: ListenAddress): string {
  if ('path' in address) return `ws+unix:${address.path}`
  return `${address.tls === true ? 'wss' : 'ws'}://${addressText(address)}`
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
