import type { TokenPolicy } from '../../policy-fields.js'
import type { AccessRule, ProxyProtocol } from '../../ports.js'
import type { PolicyReason } from '../policies/policed-token.js'
import type { QuotaState } from '../traffic/token-traffic.js'
import type { Bytes } from '../traffic/usage.js'

interface CommonTokenSpec {
  /** 1..255 bytes of UTF-8 without control characters. @default 32 base62 characters from a CSPRNG */
  readonly token?: string | undefined
  /** What people call it: 1..200 bytes of UTF-8 without control characters. */
  readonly label?: string | undefined
  /** Unix milliseconds from which on it is refused. @default never */
  readonly expiresAt?: number | undefined
  /**
   * What its clients may reach; of a reverse token, what its proxy port lets through, in place of the server's entry rules. None:
   * no limit. @default none
   */
  readonly rules?: readonly AccessRule[] | undefined
  /**
   * What it may be used for, besides `rules`: both must allow. Of a reverse token it holds for its SOCKS port and for all of its
   * connector tokens. @default no limit
   */
  readonly policy?: TokenPolicy | undefined
}

export interface ForwardTokenSpec extends CommonTokenSpec {
  readonly type: 'forward'
}

export interface ReverseTokenSpec extends CommonTokenSpec {
  readonly type: 'reverse'
  /** Proxy port 1..65535: exactly this one or a refusal. @default the lowest free port of the range */
  readonly port?: number | undefined
  /** SOCKS user name and password: both or neither. */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Autonomy: providers hand out connector tokens of their own; there is no proxy port. @default false */
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
  /** Random and public: 24 hex digits, which name the token in the HTTP API and in events. */
  readonly id: string
  readonly token: string
  /** The proxy port of a reverse token that has one. */
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
  /** Absent on autonomy tokens, as are `proxyProtocols`, `listening` and `error`. */
  readonly port?: number | undefined
  /** What the port serves. */
  readonly proxyProtocols?: readonly ProxyProtocol[] | undefined
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
  /** Both or neither, of reverse tokens with a proxy port. */
  readonly username?: string | null | undefined
  readonly password?: string | null | undefined
  /** Each field takes the place of the one there is; `null` clears it, or all of them. */
  readonly policy?: PolicyChange | null | undefined
}

export type PolicyChange = { readonly [Field in keyof TokenPolicy]?: TokenPolicy[Field] | null }

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
  /** None: no limit. */
  readonly rules: readonly AccessRule[]
  /** Absent: no limit. */
  readonly policy?: TokenPolicy | undefined
  readonly quota?: QuotaState | undefined
  /** Authenticated living clients. */
  readonly clients: number
  readonly streams: number
  /** Of reverse tokens. */
  readonly reverse?: {
    readonly autonomy: boolean
    readonly port: number | undefined
    /** What the port serves; none where there is none. */
    readonly proxyProtocols: readonly ProxyProtocol[]
    readonly listening: boolean
    readonly portError: string | undefined
    readonly username: string | undefined
    readonly connectors: readonly string[]
  }
  /** Of connector tokens: the id of their reverse token. */
  readonly reverseId?: string
}

/** What went through a token, and what was kept from it. */
export interface TokenUsageInfo {
  readonly id: string
  /** When counting began, in Unix milliseconds. */
  readonly since: number
  /** Bytes of payload. */
  readonly total: Readonly<Bytes>
  /** Of the present month and day, in UTC. */
  readonly month: Readonly<Bytes>
  readonly day: Readonly<Bytes>
  /** Bytes a second, as of the last few seconds. */
  readonly rate: Readonly<Bytes>
  /** Bytes that had to wait for the rate, since the start. */
  readonly throttled: Readonly<Bytes>
  /** Over the rate or the quota, since the start. */
  readonly droppedDatagrams: number
  /** How often its policy refused something, since the start. */
  readonly refusals: Readonly<Record<PolicyReason, number>>
  readonly quota: QuotaState | undefined
}
