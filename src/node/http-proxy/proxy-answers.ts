import { STATUS_CODES } from 'node:http'
import type { ErrorCode, LinkSocksError } from '../../errors.js'
import { Rep, repOf } from '../../protocol/rep.js'

/** An answer of the proxy's own. */
export interface ProxyAnswer {
  readonly status: number
  /** One line. */
  readonly text: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Why it is given, where that is no failure to connect. */
  readonly code?: ErrorCode | undefined
  /** So common that it is no line at level info. @default false */
  readonly usual?: boolean | undefined
}

/** Name of this proxy in Proxy-Status (RFC 9209 section 2). */
const NAME = 'linksocks'

/** There is nobody to dial: no link, or no provider behind it. */
const NOBODY: readonly ErrorCode[] = ['ERR_SESSION_CLOSED', 'ERR_LINK_LOST', 'ERR_LINK_TIMEOUT', 'ERR_SHUTTING_DOWN']
/** Deployed relays and ours say it in these words. */
const NO_PROVIDER = 'no available reverse clients'

/** Status, and the error type of RFC 9209 section 2.3, by REP. */
const BY_REP: Readonly<Record<number, readonly [number, string]>> = {
  [Rep.NotAllowed]: [403, 'destination_ip_prohibited'],
  [Rep.NetworkUnreachable]: [502, 'destination_ip_unroutable'],
  [Rep.HostUnreachable]: [502, 'destination_ip_unroutable'],
  [Rep.ConnectionRefused]: [502, 'connection_refused'],
  [Rep.TtlExpired]: [504, 'connection_timeout'],
}

/** What a client hears about a target that could not be connected to: what REP says to one of SOCKS5. */
export function answerOfDial(error: LinkSocksError): ProxyAnswer {
  const nobody = NOBODY.includes(error.code) || error.message.includes(NO_PROVIDER)
  if (nobody)
    return failure(503, 'destination_unavailable', 'no provider or no link to the server: nobody can connect now')
  const [status, type] = BY_REP[repOf(error)] ?? [502, 'destination_unavailable']
  return failure(status, type, error.message)
}

/** An answer with its Proxy-Status. @param type an error type of RFC 9209 section 2.3 */
export function failure(status: number, type: string, text: string): ProxyAnswer {
  return { status, text, headers: { 'Proxy-Status': `${NAME}; error=${type}` } }
}

/** What a client must authenticate by (RFC 7617). */
const CHALLENGE = 'Basic realm="LinkSocks", charset="UTF-8"'

export const AUTHENTICATE: ProxyAnswer = {
  status: 407,
  text: 'this proxy asks for a user name and password',
  headers: { 'Proxy-Authenticate': CHALLENGE },
}

/** Seconds after which one more attempt is forgiven. */
const RETRY_AFTER_S = '6'

export const TOO_MANY_ATTEMPTS: ProxyAnswer = {
  status: 429,
  text: 'too many failed attempts',
  headers: { 'Retry-After': RETRY_AFTER_S },
}

/** Of answers of the proxy's own. */
export const TEXT = { 'Content-Type': 'text/plain; charset=utf-8' }

/** A whole answer, after which the connection ends. */
export function rendered({ status, text, headers }: ProxyAnswer): Buffer {
  const body = `${text}\n`
  const fields = { ...TEXT, 'Content-Length': String(Buffer.byteLength(body)), ...headers, Connection: 'close' }
  return Buffer.from(`${headOf(status, Object.entries(fields).flat())}${body}`, 'utf8')
}

/** A status line and fields, names and values one after the other. */
export function headOf(status: number, fields: readonly string[]): string {
  const lines = fields.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${fields[i + 1]}\r\n`] : []))
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`
}
