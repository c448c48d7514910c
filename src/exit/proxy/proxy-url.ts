import { MAX_PORT, zoneRefused } from '../../address.js'
import { LinkSocksError } from '../../errors.js'
import type { Credentials } from '../../ports.js'
import { fitsCredential, MAX_CREDENTIAL_BYTES } from '../../socks/codec.js'

/** The port of a proxy whose URL names none; for HTTP what deployed LinkSocks takes. */
const DEFAULT_PORTS = { socks5: 1080, http: 8080 } as const

export interface ProxyUrl {
  readonly protocol: 'socks5' | 'http'
  /** A name or IP text, IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly credentials?: Credentials | undefined
}

const ACCEPTED =
  'a proxy is written socks5://host[:port] or http://host[:port], with user:password@ before the host where it wants ' +
  'them, special characters in them percent-encoded'

const SHAPE =
  /^(?<scheme>[a-z0-9]+):\/\/(?:(?<user>.*)@)?(?<host>\[[0-9a-f:.]+\]|[^\s:@/?#[\]%]+)(?::(?<port>\d{1,5}))?\/?$/i
/** `[fe80::1%eth0]` */
const ZONED = /^[a-z0-9]+:\/\/(?:.*@)?\[[\da-f:.]+%/i
const PROTOCOLS: ReadonlyMap<string, ProxyUrl['protocol']> = new Map([
  ['socks5', 'socks5'],
  ['socks5h', 'socks5'],
  ['http', 'http'],
])

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const CONTROL = /[\u0000-\u001f\u007f]/

/**
 * Reads `socks5://`, `socks5h://` (the same here: the proxy resolves names) or `http://`, with an optional user and password
 * and port 1080 (SOCKS) or 8080 (HTTP) when there is none.
 * @throws {LinkSocksError} ERR_OPTION, saying what is accepted; nothing of `text` is repeated, it may hold a password
 */
export function parseProxyUrl(text: string): ProxyUrl {
  const parts = SHAPE.exec(text)?.groups
  const protocol = PROTOCOLS.get(parts?.scheme?.toLowerCase() ?? '')
  const host = parts?.host
  if (parts === undefined && ZONED.test(text)) throw refusal(zoneRefused('proxy'))
  if (protocol === undefined || host === undefined || CONTROL.test(text)) throw refusal(ACCEPTED)
  const port = Number(parts?.port ?? DEFAULT_PORTS[protocol])
  if (port < 1 || port > MAX_PORT) throw refusal(`the port of a proxy is 1 to ${MAX_PORT}`)
  return {
    protocol,
    host: host.startsWith('[') ? host.slice(1, -1) : host,
    port,
    credentials: credentialsOf(protocol, parts?.user),
  }
}

function credentialsOf(protocol: ProxyUrl['protocol'], text: string | undefined): Credentials | undefined {
  if (text === undefined) return undefined
  const colon = text.indexOf(':')
  const username = decode(colon < 0 ? text : text.slice(0, colon))
  const password = decode(colon < 0 ? '' : text.slice(colon + 1))
  if (CONTROL.test(username + password)) throw refusal('user and password of a proxy hold no control characters')
  if (protocol === 'http') {
    // RFC 7617 section 2
    if (username.includes(':')) throw refusal('the user name of an HTTP proxy holds no colon')
  } else if (![username, password].every(fitsCredential)) {
    throw refusal(`user and password of a SOCKS5 proxy are 1 to ${MAX_CREDENTIAL_BYTES} bytes each`)
  }
  return { username, password }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // the cause would repeat the text
    throw refusal(ACCEPTED)
  }
}

function refusal(message: string): LinkSocksError {
  return new LinkSocksError('ERR_OPTION', message)
}
