import { targetProblem } from '../../address.js'
import type { Target } from '../../ports.js'

/** Port of `http://` where a target names none (RFC 9110 section 4.2.1). */
export const HTTP_PORT = 80

/** Where an absolute form leads, and what the origin is asked for. */
export interface AbsoluteTarget {
  readonly target: Target
  /** As the Host field has it: without the port where that is 80. */
  readonly authority: string
  /** Path and query, as the client wrote them; empty where there is neither. */
  readonly path: string
}

// RFC 3986 sections 3.2.2 and 3.2.3; user information is refused (RFC 9110 section 4.2.4)
const AUTHORITY = /^(?:\[([\da-f:.]+)\]|([\w.~!$&'()*+,;=%-]+))(?::(\d*))?$/i
const ABSOLUTE = /^http:\/\/([^/?#]*)([^#]*)$/i

/** Reads `http://host:port/path`; `undefined` when it is broken. */
export function parseAbsolute(url: string): AbsoluteTarget | undefined {
  const [, authority = '', rest = ''] = ABSOLUTE.exec(url) ?? []
  const target = parseAuthority(authority, HTTP_PORT)
  if (target === undefined) return undefined
  const path = rest.startsWith('?') ? `/${rest}` : rest
  return { target, authority: authorityOf(target), path }
}

/** What is wrong with a request target that is no absolute form. */
export function wrongTarget(url: string): string {
  if (/^https:/i.test(url)) return 'https goes by CONNECT'
  return /^http:/i.test(url) ? 'broken http URL' : 'a proxy wants http://host/path, or CONNECT host:port'
}

/** Reads `host:port` of CONNECT, where the port must be given (RFC 9110 section 9.3.6); `undefined` when it is broken. */
export function parseConnect(authority: string): Target | undefined {
  return parseAuthority(authority, undefined)
}

/** Reads `host:port` (RFC 3986 section 3.2 without user information); `undefined` when it is broken. */
export function parseAuthority(authority: string, defaultPort: number | undefined): Target | undefined {
  const [, v6, name, digits] = AUTHORITY.exec(authority) ?? []
  const host = v6 ?? name
  const port = digits === undefined || digits === '' ? defaultPort : Number(digits)
  if (host === undefined || port === undefined) return undefined
  const target = { host, port }
  return targetProblem(target) === undefined ? target : undefined
}

function authorityOf({ host, port }: Target): string {
  const shown = host.includes(':') ? `[${host}]` : host
  return port === HTTP_PORT ? shown : `${shown}:${port}`
}
