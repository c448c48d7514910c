import { LinkSocksError } from '../errors.js'
import type { Credentials, Target } from '../ports.js'
import { encodeUtf8 } from '../protocol/text.js'
import type { Decoded } from '../streams/handshake-stream.js'
import { decodeAddress, decodeBoundAddress, encodeAddress } from './socks-address.js'

/*
 * SOCKS5 messages of both sides (RFC 1928, RFC 1929). Every decode function takes the received bytes and gives `undefined`
 * while they are too short; bytes from `bytesRead` on belong to the caller.
 */

/** VER of RFC 1928. */
export const SOCKS_VERSION = 0x05
/** VER of the user/password sub-negotiation (RFC 1929 section 2). */
const USER_PASSWORD_VERSION = 0x01
/** Largest user name and password: one byte says how long each is (RFC 1929 section 2). */
export const MAX_CREDENTIAL_BYTES = 255
/** Longest message of a SOCKS5 handshake: VER ULEN UNAME PLEN PASSWD. */
export const MAX_SOCKS_MESSAGE_BYTES = 3 + 2 * MAX_CREDENTIAL_BYTES

/** Methods of RFC 1928 section 3. */
export const Method = { None: 0x00, UserPassword: 0x02, NoneAcceptable: 0xff } as const
/** CMD of RFC 1928 section 4. */
export const Cmd = { Connect: 0x01, Bind: 0x02, UdpAssociate: 0x03 } as const

/** UNAME and PASSWD as they are on the wire; RFC 1929 names no character set. */
export interface UserPassword {
  readonly username: Uint8Array
  readonly password: Uint8Array
}

export interface SocksRequest {
  /** CMD; one of {@link Cmd}, or a number nobody defined. */
  readonly cmd: number
  /** DST.ADDR and DST.PORT. */
  readonly target: Target
}

export interface SocksReply {
  /** REP of RFC 1928 section 6. */
  readonly rep: number
  /** BND.ADDR and BND.PORT. */
  readonly bound: Target
}

/** VER NMETHODS METHODS, client to server. @throws {LinkSocksError} ERR_SOCKS_VERSION */
export function decodeMethods(buf: Uint8Array): Decoded<Uint8Array> | undefined {
  if (!hasVersion(buf, SOCKS_VERSION)) return undefined
  const end = 2 + (buf[1] ?? Number.POSITIVE_INFINITY)
  return buf.length < end ? undefined : { value: buf.subarray(2, end), bytesRead: end }
}

/** VER NMETHODS METHODS. */
export function encodeMethods(methods: readonly number[]): Uint8Array {
  return Uint8Array.of(SOCKS_VERSION, methods.length, ...methods)
}

/** VER METHOD, server to client. @throws {LinkSocksError} ERR_SOCKS_VERSION */
export function decodeMethodChoice(buf: Uint8Array): Decoded<number> | undefined {
  return decodePair(buf, SOCKS_VERSION)
}

/** VER METHOD. */
export function encodeMethodChoice(method: number): Uint8Array {
  return Uint8Array.of(SOCKS_VERSION, method)
}

/** VER ULEN UNAME PLEN PASSWD (RFC 1929); an empty name or password is read as such. @throws {LinkSocksError} ERR_SOCKS_VERSION */
export function decodeUserPassword(buf: Uint8Array): Decoded<UserPassword> | undefined {
  if (!hasVersion(buf, USER_PASSWORD_VERSION)) return undefined
  const nameEnd = 2 + (buf[1] ?? Number.POSITIVE_INFINITY)
  const end = nameEnd + 1 + (buf[nameEnd] ?? Number.POSITIVE_INFINITY)
  if (buf.length < end) return undefined
  return { value: { username: buf.subarray(2, nameEnd), password: buf.subarray(nameEnd + 1, end) }, bytesRead: end }
}

/** VER ULEN UNAME PLEN PASSWD. @throws {LinkSocksError} ERR_OPTION when a part is not 1 to 255 bytes of UTF-8 */
export function encodeUserPassword(credentials: Credentials): Uint8Array {
  const [username, password] = [encodeUtf8(credentials.username), encodeUtf8(credentials.password)]
  for (const [name, part] of [['user name', username] as const, ['password', password] as const]) {
    if (!fits(part)) {
      throw new LinkSocksError(
        'ERR_OPTION',
        `SOCKS5 ${name} must be 1 to ${MAX_CREDENTIAL_BYTES} bytes, this one has ${part.length}`,
      )
    }
  }
  return Uint8Array.of(USER_PASSWORD_VERSION, username.length, ...username, password.length, ...password)
}

/** Whether SOCKS5 can carry a text as user name or password: 1 to {@link MAX_CREDENTIAL_BYTES} bytes of UTF-8. */
export function fitsCredential(text: string): boolean {
  return fits(encodeUtf8(text))
}

function fits({ byteLength }: Uint8Array): boolean {
  return byteLength >= 1 && byteLength <= MAX_CREDENTIAL_BYTES
}

/** VER STATUS, server to client; 0 is success (RFC 1929). @throws {LinkSocksError} ERR_SOCKS_VERSION */
export function decodeUserPasswordStatus(buf: Uint8Array): Decoded<number> | undefined {
  return decodePair(buf, USER_PASSWORD_VERSION)
}

/** VER STATUS. */
export function encodeUserPasswordStatus(accepted: boolean): Uint8Array {
  return Uint8Array.of(USER_PASSWORD_VERSION, accepted ? 0x00 : 0x01)
}

/**
 * VER CMD RSV ATYP DST.ADDR DST.PORT (RFC 1928 section 4); RSV is not looked at, every CMD is passed on.
 * @throws {LinkSocksError} ERR_SOCKS_VERSION, ERR_SOCKS_ATYP, ERR_SOCKS_MALFORMED
 */
export function decodeRequest(buf: Uint8Array): Decoded<SocksRequest> | undefined {
  const message = decodeMessage(buf, decodeAddress)
  return message && { value: { cmd: message.code, target: message.address }, bytesRead: message.bytesRead }
}

/** VER CMD RSV ATYP DST.ADDR DST.PORT. @throws {LinkSocksError} ERR_SOCKS_MALFORMED, as encodeAddress() */
export function encodeRequest({ cmd, target }: SocksRequest): Uint8Array {
  return encodeMessage(cmd, target)
}

/**
 * VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 section 6); a domain that is none is read as the empty text.
 * @throws {LinkSocksError} ERR_SOCKS_VERSION, ERR_SOCKS_ATYP, ERR_SOCKS_MALFORMED
 */
export function decodeReply(buf: Uint8Array): Decoded<SocksReply> | undefined {
  const message = decodeMessage(buf, decodeBoundAddress)
  return message && { value: { rep: message.code, bound: message.address }, bytesRead: message.bytesRead }
}

/** VER REP RSV ATYP BND.ADDR BND.PORT; without `bound` 0.0.0.0:0. @throws {LinkSocksError} ERR_SOCKS_MALFORMED, as encodeAddress() */
export function encodeReply(rep: number, bound: Target = { host: '0.0.0.0', port: 0 }): Uint8Array {
  return encodeMessage(rep, bound)
}

function decodeMessage(
  buf: Uint8Array,
  decode: typeof decodeAddress,
): { code: number; address: Target; bytesRead: number } | undefined {
  if (!hasVersion(buf, SOCKS_VERSION)) return undefined
  const address = decode(buf, 3)
  const code = buf[1]
  if (code === undefined || address === undefined) return undefined
  return { code, address: address.value, bytesRead: 3 + address.bytesRead }
}

function encodeMessage(code: number, address: Target): Uint8Array {
  return Uint8Array.of(SOCKS_VERSION, code, 0x00, ...encodeAddress(address))
}

/** VER and one byte. */
function decodePair(buf: Uint8Array, version: number): Decoded<number> | undefined {
  if (!hasVersion(buf, version)) return undefined
  const value = buf[1]
  return value === undefined ? undefined : { value, bytesRead: 2 }
}

/** False while empty. */
function hasVersion(buf: Uint8Array, version: number): boolean {
  const found = buf[0]
  if (found !== undefined && found !== version) {
    throw new LinkSocksError('ERR_SOCKS_VERSION', `version ${found} instead of ${version}`)
  }
  return found !== undefined
}
