import { bareHost } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Target } from '../ports.js'
import type { Decoded } from '../streams/handshake-stream.js'

/*
 * SOCKS4 as Ying-Da Lee wrote it down, and SOCKS4a, whose client leaves the name to be looked up by the server.
 */

/** VN of a request. */
export const SOCKS4_VERSION = 0x04
/** CD of a request. */
export const Cd = { Connect: 1, Bind: 2 } as const
/** CD of a reply: granted, and rejected or failed. */
export const Cd4Reply = { Granted: 90, Rejected: 91 } as const
/** Longest USERID and name, without the NUL behind them. */
export const MAX_SOCKS4_TEXT_BYTES = 255
/** Longest request: VN CD DSTPORT DSTIP USERID NUL name NUL. */
export const MAX_SOCKS4_REQUEST_BYTES = 8 + 2 * (MAX_SOCKS4_TEXT_BYTES + 1)

export interface Socks4Request {
  /** CD; one of {@link Cd}, or a number nobody defined. */
  readonly cd: number
  readonly target: Target
}

/**
 * VN CD DSTPORT DSTIP USERID NUL, and for an address 0.0.0.x with x other than 0 a name and a NUL (SOCKS4a). USERID is
 * not looked at: anybody may write anything there.
 * @returns `undefined` while it is too short
 * @throws {LinkSocksError} ERR_SOCKS_VERSION, ERR_SOCKS_MALFORMED (a text that is too long, an empty name, a name that is not ASCII)
 */
export function decodeSocks4Request(buf: Uint8Array): Decoded<Socks4Request> | undefined {
  if (buf[0] !== undefined && buf[0] !== SOCKS4_VERSION) {
    throw new LinkSocksError('ERR_SOCKS_VERSION', `version ${buf[0]} instead of ${SOCKS4_VERSION}`)
  }
  if (buf.length < 8) return undefined
  const [, cd = 0, high = 0, low = 0, a, b, c, d] = buf
  const userEnd = endOfText(buf, 8, 'USERID')
  if (userEnd === undefined) return undefined
  const port = high * 256 + low
  const named = a === 0 && b === 0 && c === 0 && d !== 0
  if (!named) return { value: { cd, target: { host: `${a}.${b}.${c}.${d}`, port } }, bytesRead: userEnd }
  const nameEnd = endOfText(buf, userEnd, 'name')
  if (nameEnd === undefined) return undefined
  const name = buf.subarray(userEnd, nameEnd - 1)
  if (name.length === 0 || name.some((byte) => byte > 0x7f)) {
    throw new LinkSocksError('ERR_SOCKS_MALFORMED', 'the name is empty or not ASCII')
  }
  return { value: { cd, target: { host: bareHost(String.fromCharCode(...name)), port } }, bytesRead: nameEnd }
}

/** VN(0) CD DSTPORT DSTIP; the address says nothing. */
export function encodeSocks4Reply(cd: number): Uint8Array {
  return Uint8Array.of(0, cd, 0, 0, 0, 0, 0, 0)
}

/** Where a text that begins at `from` ends, its NUL included. */
function endOfText(buf: Uint8Array, from: number, what: string): number | undefined {
  const nul = buf.subarray(0, from + MAX_SOCKS4_TEXT_BYTES + 1).indexOf(0, from)
  if (nul >= 0) return nul + 1
  if (buf.length <= from + MAX_SOCKS4_TEXT_BYTES) return undefined
  throw new LinkSocksError('ERR_SOCKS_MALFORMED', `a ${what} of more than ${MAX_SOCKS4_TEXT_BYTES} bytes`)
}
