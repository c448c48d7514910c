/** Every code a LinkSocksError can carry. Stable: programs may switch on them. */
export type ErrorCode =
  // messages and handshake
  | 'ERR_MESSAGE_VERSION'
  | 'ERR_MESSAGE_TRUNCATED'
  | 'ERR_MESSAGE_INVALID'
  | 'ERR_MESSAGE_TOO_LARGE'
  | 'ERR_AUTH_REJECTED'
  | 'ERR_AUTH_TIMEOUT'
  | 'ERR_TOKEN_DISABLED'
  | 'ERR_URL'
  // sessions and channels
  | 'ERR_SESSION_CLOSED'
  | 'ERR_LINK_LOST'
  | 'ERR_LINK_TIMEOUT'
  | 'ERR_CHANNEL_RESET'
  | 'ERR_FLOW_CONTROL'
  | 'ERR_CHANNEL_PROTOCOL'
  | 'ERR_LIMIT'
  | 'ERR_SHUTTING_DOWN'
  | 'ERR_CANCELLED'
  // HTTP, SOCKS and proxies
  | 'ERR_HTTP'
  | 'ERR_SOCKS_VERSION'
  | 'ERR_SOCKS_METHOD'
  | 'ERR_SOCKS_AUTH'
  | 'ERR_SOCKS_COMMAND'
  | 'ERR_SOCKS_ATYP'
  | 'ERR_SOCKS_MALFORMED'
  | 'ERR_SOCKS_TIMEOUT'
  | 'ERR_PROXY_FAILED'
  // dialling; each has its SOCKS5 REP (RFC 1928 section 6)
  | 'ERR_DIAL_FAILED'
  | 'ERR_DIAL_NOT_ALLOWED'
  | 'ERR_DIAL_NETWORK_UNREACHABLE'
  | 'ERR_DIAL_HOST_UNREACHABLE'
  | 'ERR_DIAL_REFUSED'
  | 'ERR_DIAL_TIMEOUT'
  | 'ERR_DIAL_UNSUPPORTED'
  | 'ERR_DIAL_ADDRESS'
  | 'ERR_STREAM_RESET'
  // tokens
  | 'ERR_TOKEN_INVALID'
  | 'ERR_TOKEN_RESERVED'
  | 'ERR_TOKEN_EXISTS'
  | 'ERR_TOKEN_NOT_FOUND'
  | 'ERR_REVERSE_TOKEN_NOT_FOUND'
  | 'ERR_TOKEN_AUTONOMY'
  | 'ERR_PORT_UNAVAILABLE'
  | 'ERR_CLIENT_NOT_FOUND'
  // the store of tokens
  | 'ERR_STORE'
  | 'ERR_NOT_STORED'
  // options and environment
  | 'ERR_OPTION'
  | 'ERR_LISTEN'
  | 'ERR_CONNECT'

/** The one error class of the library; `code` is stable, `cause` keeps what led to it. */
export class LinkSocksError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LinkSocksError'
    this.code = code
  }

  /** Wraps anything thrown; a LinkSocksError passes through unchanged. */
  static from(thrown: unknown, code: ErrorCode): LinkSocksError {
    if (thrown instanceof LinkSocksError) return thrown
    return new LinkSocksError(code, thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
  }

  /** The error of a wait that its AbortSignal ended; a LinkSocksError given as reason passes through. */
  static cancelled(signal: AbortSignal): LinkSocksError {
    if (signal.reason instanceof LinkSocksError) return signal.reason
    return new LinkSocksError('ERR_CANCELLED', 'cancelled', { cause: signal.reason })
  }
}
