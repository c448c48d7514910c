import type { ErrorCode } from '../errors.js'
import { LinkSocksError } from '../errors.js'
import { remoteText } from '../log.js'

/** REP of a SOCKS5 reply (RFC 1928 section 6). */
export const Rep = {
  Succeeded: 0,
  GeneralFailure: 1,
  /** Not allowed by ruleset. */
  NotAllowed: 2,
  NetworkUnreachable: 3,
  /** Also: the name does not resolve. */
  HostUnreachable: 4,
  ConnectionRefused: 5,
  /** Also: the dial timed out. */
  TtlExpired: 6,
  CommandNotSupported: 7,
  AddressTypeNotSupported: 8,
} as const

const REP_OF_ERROR: Partial<Record<ErrorCode, number>> = {
  ERR_DIAL_NOT_ALLOWED: Rep.NotAllowed,
  ERR_DIAL_NETWORK_UNREACHABLE: Rep.NetworkUnreachable,
  ERR_DIAL_HOST_UNREACHABLE: Rep.HostUnreachable,
  ERR_DIAL_REFUSED: Rep.ConnectionRefused,
  ERR_DIAL_TIMEOUT: Rep.TtlExpired,
  ERR_DIAL_UNSUPPORTED: Rep.CommandNotSupported,
  ERR_DIAL_ADDRESS: Rep.AddressTypeNotSupported,
  ERR_SOCKS_COMMAND: Rep.CommandNotSupported,
  ERR_SOCKS_ATYP: Rep.AddressTypeNotSupported,
  // without the link there is no way into the network behind it
  ERR_LINK_LOST: Rep.NetworkUnreachable,
  ERR_LINK_TIMEOUT: Rep.NetworkUnreachable,
  ERR_SESSION_CLOSED: Rep.NetworkUnreachable,
}

/** The REP that tells a SOCKS client about `error`; never {@link Rep.Succeeded}. */
export function repOf(error: LinkSocksError): number {
  return REP_OF_ERROR[error.code] ?? Rep.GeneralFailure
}

// all in lower case
const PHRASES: readonly (readonly [string, number])[] = [
  ['refused', Rep.ConnectionRefused],
  ['no such host', Rep.HostUnreachable],
  ['not known', Rep.HostUnreachable],
  ['no route', Rep.HostUnreachable],
  ['network is unreachable', Rep.NetworkUnreachable],
  ['timeout', Rep.TtlExpired],
  ['timed out', Rep.TtlExpired],
  ['deadline', Rep.TtlExpired],
  ['no available reverse clients', Rep.NetworkUnreachable],
  ['not allowed', Rep.NotAllowed],
  ['blocked by access control', Rep.NotAllowed],
]

/**
 * The REP behind the error text of an exit that sends no REP. The phrase that stands last decides: the cause comes at
 * the end, and the host name before it may look like one (`lookup refused.example: no such host`).
 */
export function repOfText(text: string): number {
  const lower = text.toLowerCase()
  let last = -1
  let rep: number = Rep.GeneralFailure
  for (const [phrase, meaning] of PHRASES) {
    const at = lower.lastIndexOf(phrase)
    if (at > last) [last, rep] = [at, meaning]
  }
  return rep
}

const TEXT_OF_REP: Readonly<Record<number, string>> = {
  [Rep.NotAllowed]: 'not allowed',
  [Rep.NetworkUnreachable]: 'network is unreachable',
  [Rep.HostUnreachable]: 'no such host or no route to it',
  [Rep.ConnectionRefused]: 'connection refused',
  [Rep.TtlExpired]: 'timed out',
}

/** The text of a failure, which says what its REP says: old relays pass on nothing else. */
export function textOf(error: LinkSocksError): string {
  const [text, meaning] = [error.message || 'failed', TEXT_OF_REP[repOf(error)]]
  return meaning === undefined || repOfText(text) === repOf(error) ? text : `${text}: ${meaning}`
}

const ERROR_OF_REP: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [Rep.GeneralFailure]: ['ERR_DIAL_FAILED', 'general failure'],
  [Rep.NotAllowed]: ['ERR_DIAL_NOT_ALLOWED', 'not allowed by ruleset'],
  [Rep.NetworkUnreachable]: ['ERR_DIAL_NETWORK_UNREACHABLE', 'network unreachable'],
  [Rep.HostUnreachable]: ['ERR_DIAL_HOST_UNREACHABLE', 'host unreachable'],
  [Rep.ConnectionRefused]: ['ERR_DIAL_REFUSED', 'connection refused'],
  [Rep.TtlExpired]: ['ERR_DIAL_TIMEOUT', 'timed out'],
  [Rep.CommandNotSupported]: ['ERR_DIAL_UNSUPPORTED', 'command not supported'],
  [Rep.AddressTypeNotSupported]: ['ERR_DIAL_ADDRESS', 'address type not supported'],
}

/**
 * The error of a dial that failed at the far end with `rep` (a number outside RFC 1928 is a general failure). `text` is
 * the peer's; without one the REP's own name stands there.
 */
export function dialErrorOf(rep: number, text: string): LinkSocksError {
  const [code, name] = ERROR_OF_REP[rep] ?? ['ERR_DIAL_FAILED', 'general failure']
  return new LinkSocksError(code, `far end: ${text === '' ? name : remoteText(text)}`)
}
