import { zoneRefused } from '../address.js'
import { LinkSocksError } from '../errors.js'
import { formatUuid, NIL_UUID, parseUuid } from './uuid.js'

/** Where the server accepts WebSockets: this path and all below it (A.1). */
const SOCKET_PATH = '/socket'

/** Characters of a hex SHA-256. */
const TOKEN_HASH_CHARS = 64
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i
// the URL parser would take `wss:///path` for the host `path`
const EMPTY_HOST = /^[^:]*:\/\/([/\\?#]|$)/
/** `fe80::1%eth0`, in brackets or not. */
const ZONED_HOST = /^[a-z]+:\/\/\[?[\da-f]*:[\da-f:.]*%/i
const WEBSOCKET_SCHEME: Readonly<Record<string, string>> = {
  'ws:': 'ws:',
  'wss:': 'wss:',
  'http:': 'ws:',
  'https:': 'wss:',
}
/** Query parameters of the URL form (A.2), of B.1, B.3 and B.4. */
const OWN_PARAMETERS = ['token', 'reverse', 'instance', 'ext', 'resume', 'policy'] as const

/** How a client proves its token: in the URL (deployed form) or by an Auth message. */
export type AuthForm = 'query' | 'in-band'

export interface ServerUrl {
  /** ws or wss, with a path, without the parameters of the query form. */
  readonly url: string
  readonly form: AuthForm
}

/**
 * Reads what a user wrote as the server: `host[:port]`, or a ws, wss, http or https URL; without a scheme wss is meant,
 * without a path {@link SOCKET_PATH}. Any other path means the in-band form. The user's query parameters stay.
 * @throws {LinkSocksError} ERR_URL; its text repeats no part of a URL that could be a secret
 */
export function parseServerUrl(text: string): ServerUrl {
  const given = text.trim()
  const full = SCHEME.test(given) ? given : `wss://${given}`
  if (EMPTY_HOST.test(full)) throw notAUrl()
  if (ZONED_HOST.test(full)) {
    throw new LinkSocksError('ERR_URL', zoneRefused('server'))
  }
  const url = webSocketUrl(full)
  if (url.hash !== '') throw new LinkSocksError('ERR_URL', 'a server URL has no #fragment: remove it')
  if (url.pathname === '/') url.pathname = SOCKET_PATH
  const form = url.pathname === SOCKET_PATH ? 'query' : 'in-band'
  const own = OWN_PARAMETERS.find((name) => url.searchParams.has(name))
  if (form === 'query' && own !== undefined) {
    throw new LinkSocksError('ERR_URL', `the query parameter '${own}' is added by the client: remove it from the URL`)
  }
  return { url: url.href, form }
}

function webSocketUrl(text: string, base?: string): URL {
  const url = parse(text, base)
  const scheme = WEBSOCKET_SCHEME[url.protocol]
  if (scheme === undefined) {
    throw new LinkSocksError('ERR_URL', 'a server URL begins with ws://, wss://, http:// or https://')
  }
  if (url.username !== '' || url.password !== '') {
    throw new LinkSocksError('ERR_URL', 'a server URL has no user:password@: send credentials in a request header')
  }
  url.protocol = scheme
  return url
}

function parse(text: string, base?: string): URL {
  try {
    return new URL(text, base)
  } catch {
    throw notAUrl() // no cause: it quotes the URL
  }
}

function notAUrl(): LinkSocksError {
  return new LinkSocksError('ERR_URL', 'not a server URL: write host, host:port or ws://host:port (IPv6 in brackets)')
}

/** What a client tells in the query form (A.2). */
export interface HandshakeFields {
  /** Lower case hex SHA-256 of the token; as good as the token itself, never logged. */
  readonly tokenHash: string
  readonly reverse: boolean
  /** 16 bytes. */
  readonly instance: Uint8Array
  /** Asks the server for its extensions (B.1). */
  readonly extensions: boolean
  /** Asks for a session that survives its WebSocket (B.3). */
  readonly resumable: boolean
  /** Can judge by policies (B.4). */
  readonly knowsPolicies: boolean
}

/** `serverUrl` with the parameters of the query form added, all keys sorted. The result is a secret. */
export function handshakeUrl(serverUrl: string, fields: HandshakeFields): string {
  const url = parse(serverUrl)
  url.searchParams.set('token', fields.tokenHash)
  url.searchParams.set('reverse', String(fields.reverse))
  url.searchParams.set('instance', formatUuid(fields.instance))
  if (fields.extensions) url.searchParams.set('ext', '1')
  if (fields.resumable) url.searchParams.set('resume', '1')
  if (fields.knowsPolicies) url.searchParams.set('policy', '1')
  url.searchParams.sort()
  return url.href
}

/** What the request of a WebSocket says about its sender (A.2). */
export type Handshake =
  | { readonly form: 'in-band'; readonly extensions: boolean }
  | {
      readonly form: 'query'
      /** 64 characters; not necessarily hex. */
      readonly tokenHash: string
      /** `undefined`: whatever role the token allows. */
      readonly reverse?: boolean | undefined
      /** Nil when missing or unreadable. */
      readonly instance: Uint8Array
      readonly extensions: boolean
      readonly resumable: boolean
      readonly knowsPolicies: boolean
    }
  | { readonly form: 'invalid'; readonly error: 'invalid token format' }

/** Reads the query of a WebSocket request. Never throws; of a repeated parameter the first counts. */
export function parseHandshake(query: URLSearchParams): Handshake {
  const extensions = query.get('ext') === '1'
  const tokenHash = query.get('token') ?? ''
  if (tokenHash === '') return { form: 'in-band', extensions }
  if (tokenHash.length !== TOKEN_HASH_CHARS) return { form: 'invalid', error: 'invalid token format' }
  const instance = parseUuid(query.get('instance') ?? '') ?? NIL_UUID
  const resumable = extensions && query.get('resume') === '1'
  const knowsPolicies = extensions && query.get('policy') === '1'
  const reverse = reverseOf(query.get('reverse'))
  return { form: 'query', tokenHash, reverse, instance, extensions, resumable, knowsPolicies }
}

function reverseOf(text: string | null): boolean | undefined {
  return text === null ? undefined : text === 'true' || text === '1'
}

/**
 * Where a redirect of the handshake leads (A.1): `location` resolved against `from`, as ws or wss, without a fragment.
 * @throws {LinkSocksError} ERR_URL
 */
export function redirectUrl(from: string, location: string): string {
  const url = webSocketUrl(location.trim(), from)
  url.hash = ''
  return url.href
}

/** Whether going from one ws/wss URL to the other gives up TLS. */
export function isDowngrade(from: string, to: string): boolean {
  return parse(from).protocol === 'wss:' && parse(to).protocol === 'ws:'
}

/** Whether both name the same host and port; ws and wss on their own default ports count as the same. */
export function sameHost(a: string, b: string): boolean {
  return parse(a).host === parse(b).host
}

/** Whether a request path is one where the server accepts WebSockets: `/socket` and everything below `/socket/`. */
export function isSocketPath(pathname: string): boolean {
  return pathname === SOCKET_PATH || pathname.startsWith(`${SOCKET_PATH}/`)
}
