/** What operators may do with a running relay: the HTTP API and the library stand on this. */

export interface ForwardTokenSpec {
  readonly type: 'forward'
  /** 1..255 bytes of UTF-8 without control characters. @default 32 base62 characters from a CSPRNG */
  readonly token?: string | undefined
}

export interface ReverseTokenSpec {
  readonly type: 'reverse'
  readonly token?: string | undefined
  /** SOCKS port 1..65535: exactly this one or a refusal. @default the lowest free port of the range */
  readonly port?: number | undefined
  /** SOCKS user name and password: both or neither. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Autonomy: providers hand out connector tokens of their own; there is no SOCKS port. @default false */
  readonly allowManageConnector?: boolean | undefined
}

export interface ConnectorTokenSpec {
  readonly type: 'connector'
  readonly token?: string | undefined
  readonly reverseToken: string
}

export type TokenSpec = ForwardTokenSpec | ReverseTokenSpec | ConnectorTokenSpec

export interface AddedToken {
  readonly token: string
  /** The SOCKS port of a reverse token that has one. */
  readonly port?: number | undefined
}

export interface ForwardTokenStatus {
  readonly token: string
  readonly type: 'forward'
  readonly clientsCount: number
}

export interface ReverseTokenStatus {
  readonly token: string
  readonly type: 'reverse'
  readonly clientsCount: number
  readonly connectorTokens: readonly string[]
  /** Absent on autonomy tokens, as are `listening` and `error`. */
  readonly port?: number | undefined
  readonly listening?: boolean | undefined
  /** Why the port could not be opened; it is tried again. */
  readonly error?: string | undefined
}

export type TokenStatus = ForwardTokenStatus | ReverseTokenStatus

export interface TokenAdmin {
  tokens(): readonly TokenStatus[]
  /**
   * @throws {LinkSocksError} ERR_TOKEN_INVALID (the message names the field), ERR_TOKEN_RESERVED, ERR_TOKEN_EXISTS,
   *   ERR_PORT_UNAVAILABLE, ERR_REVERSE_TOKEN_NOT_FOUND, ERR_TOKEN_AUTONOMY
   */
  addToken(spec: TokenSpec): Promise<AddedToken>
  /**
   * Ends the token's links and streams at once, frees its port, and takes a reverse token's connector tokens with it.
   * @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND
   */
  removeToken(token: string): Promise<void>
}
