/** What operators may do with a running relay: the HTTP API and the library stand on this. */
import type { AlarmInfo, EventLog } from './event-log.js'
import type { Page, PageQuery } from './page.js'
import type { Role, StreamMode } from './relay-link.js'

interface CommonTokenSpec {
  /** 1..255 bytes of UTF-8 without control characters. @default 32 base62 characters from a CSPRNG */
  readonly token?: string | undefined
  /** What people call it: 1..200 bytes of UTF-8 without control characters. */
  readonly label?: string | undefined
  /** Unix milliseconds from which on it is refused. @default never */
  readonly expiresAt?: number | undefined
}

export interface ForwardTokenSpec extends CommonTokenSpec {
  readonly type: 'forward'
}

export interface ReverseTokenSpec extends CommonTokenSpec {
  readonly type: 'reverse'
  /** SOCKS port 1..65535: exactly this one or a refusal. @default the lowest free port of the range */
  readonly port?: number | undefined
  /** SOCKS user name and password: both or neither. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Autonomy: providers hand out connector tokens of their own; there is no SOCKS port. @default false */
  readonly allowManageConnector?: boolean | undefined
}

export interface ConnectorTokenSpec extends CommonTokenSpec {
  readonly type: 'connector'
  readonly reverseToken: string
}

export type TokenSpec = ForwardTokenSpec | ReverseTokenSpec | ConnectorTokenSpec

/** Where a token comes from: only those of the API are kept in the store. */
export type TokenSource = 'api' | 'command-line' | 'provider'

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

/** What may be changed of a token: `undefined` leaves it, `null` clears it. */
export interface TokenChange {
  readonly label?: string | null | undefined
  readonly enabled?: boolean | undefined
  readonly expiresAt?: number | null | undefined
  /** Both or neither, of reverse tokens with a SOCKS port. */
  readonly username?: string | null | undefined
  readonly password?: string | null | undefined
}

export type TokenState = 'active' | 'disabled' | 'expired'

/** A token with all that may be shown of it. */
export interface TokenInfo {
  /** Ascending in the order in which they were added. */
  readonly number: number
  /** Random and public: 24 hex digits. */
  readonly id: string
  readonly type: 'forward' | 'reverse' | 'connector'
  /** A secret. */
  readonly token: string
  readonly label: string | undefined
  readonly enabled: boolean
  /** Unix milliseconds. */
  readonly expiresAt: number | undefined
  readonly state: TokenState
  readonly source: TokenSource
  /** It is there again after a restart. */
  readonly stored: boolean
  readonly createdAt: number
  /** Authenticated living links. */
  readonly clients: number
  readonly streams: number
  /** Of reverse tokens. */
  readonly reverse?: {
    readonly autonomy: boolean
    readonly port: number | undefined
    readonly listening: boolean
    readonly portError: string | undefined
    readonly username: string | undefined
    readonly connectors: readonly string[]
  }
  /** Of connector tokens: the id of their reverse token. */
  readonly reverseId?: string
}

/** A client with its session. */
export interface ClientInfo {
  /** Ascending in the order in which they came. */
  readonly number: number
  readonly id: string
  readonly role: Role
  readonly tokenId: string
  readonly address: string
  /** Unix milliseconds. */
  readonly since: number
  /** A suspended one lost its connection and may come back. */
  readonly state: 'connected' | 'suspended'
  readonly roundTripMs: number | undefined
  readonly streams: number
  /** Bytes of messages that came from it. */
  readonly receivedBytes: number
  readonly sentBytes: number
}

/** What runs between somebody who asked and a target. */
export interface StreamInfo {
  /** Ascending. */
  readonly id: number
  readonly mode: StreamMode
  readonly protocol: 'tcp' | 'udp'
  /** `host:port`; UDP associations have many. */
  readonly target: string | undefined
  readonly tokenId: string
  /** Who asked; `undefined` on the SOCKS port of a reverse token. */
  readonly clientId: string | undefined
  readonly providerId: string | undefined
  readonly state: 'opening' | 'open'
  /** Unix milliseconds. */
  readonly since: number
  /** Bytes towards the target. */
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Which streams are wanted. */
export interface StreamQuery extends PageQuery {
  readonly tokenId?: string | undefined
  /** Who asked, or who provides. */
  readonly clientId?: string | undefined
}

/** Sums over the whole life of the relay. */
export interface RelayTotals {
  readonly tokens: number
  readonly clients: number
  readonly streams: number
  readonly receivedBytes: number
  readonly sentBytes: number
}

export interface TokenAdmin {
  tokens(): readonly TokenStatus[]
  /**
   * @throws {LinkSocksError} ERR_TOKEN_INVALID (the message names the field), ERR_TOKEN_RESERVED, ERR_TOKEN_EXISTS,
   *   ERR_PORT_UNAVAILABLE, ERR_REVERSE_TOKEN_NOT_FOUND, ERR_TOKEN_AUTONOMY, ERR_NOT_STORED
   */
  addToken(spec: TokenSpec): Promise<AddedToken>
  /**
   * Ends the token's links and streams at once, frees its port, and takes a reverse token's connector tokens with it.
   * @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_NOT_STORED
   */
  removeToken(token: string): Promise<void>
}

/** The whole of it. Tokens and clients are named by their public ids. */
export interface RelayAdmin extends TokenAdmin {
  readonly events: EventLog
  /** Takes nothing new any more. */
  readonly draining: boolean
  /** Whether tokens outlive the process. */
  readonly durable: boolean
  totals(): RelayTotals
  alarms(): readonly AlarmInfo[]
  /** In the order in which they were added. */
  tokenPage(query: PageQuery): Page<TokenInfo>
  tokenInfo(id: string): TokenInfo | undefined
  /** By its text. */
  tokenId(token: string): string | undefined
  /** @throws {LinkSocksError} ERR_TOKEN_NOT_FOUND, ERR_TOKEN_INVALID (the message names the field), ERR_NOT_STORED */
  changeToken(id: string, change: TokenChange): Promise<TokenInfo>
  /** As removeToken(). */
  removeTokenById(id: string): Promise<void>
  /** In the order in which they came. */
  clientPage(query: PageQuery): Page<ClientInfo>
  /**
   * Ends the session of a client, which may come back.
   * @throws {LinkSocksError} ERR_CLIENT_NOT_FOUND
   */
  disconnect(id: string): void
  /** In the order in which they began, or the other way round. */
  streamPage(query: StreamQuery): Page<StreamInfo>
}
