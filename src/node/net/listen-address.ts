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
  | ({
      /** @default false */
      readonly tls?: boolean | undefined
    } & Descriptor)

/** A socket that was passed to this process, bound already. */
export interface Descriptor {
  /** From {@link FIRST_DESCRIPTOR} on. */
  readonly fd: number
}

/** Those before it are standard input, output and error. */
const FIRST_DESCRIPTOR = 3
/** More than systems let a process have. */
const LAST_DESCRIPTOR = 1_048_575

/** Longest path of a Unix domain socket in bytes; systems differ by a few. */
const MAX_SOCKET_PATH_BYTES = 103

const UNIX = /^ws\+unix:(?:\/\/)?(\/.*)$/s
const DESCRIPTOR = /^(wss?)\+fd:(?:\/\/)?(\d{1,9})$/i
const FORM = 'must be ws://HOST:PORT, wss://HOST:PORT, ws+unix:/PATH or ws+fd:NUMBER'

/**
 * Reads `ws://0.0.0.0:8765`, `wss://[::]:443`, `ws+unix:/run/linksocks.sock` or `wss+fd:3`. Without a port ws is 80 and wss 443.
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
  const [, over, fd] = DESCRIPTOR.exec(text) ?? []
  if (over !== undefined) {
    const problem = descriptorProblem(Number(fd))
    if (problem !== undefined) throw invalid(problem)
    return { fd: Number(fd), tls: over.toLowerCase() === 'wss' }
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
  if ('fd' in address) return `${address.tls === true ? 'wss' : 'ws'}+fd:${address.fd}`
  return `${address.tls === true ? 'wss' : 'ws'}://${addressText(address)}`
}

/** Why a socket can't have been passed by this number. */
export function descriptorProblem(fd: number): string | undefined {
  if (Number.isInteger(fd) && fd >= FIRST_DESCRIPTOR && fd <= LAST_DESCRIPTOR) return undefined
  return `a descriptor is a number from ${FIRST_DESCRIPTOR} to ${LAST_DESCRIPTOR}`
}

function invalid(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
