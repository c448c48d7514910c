/** What the relay's HTTP API answers. */

export type Role = 'full' | 'read-only'
/** What clients of a proxy port speak. */
export type ProxyProtocol = 'socks5' | 'socks4' | 'http'
export type TokenType = 'forward' | 'reverse' | 'connector'

export interface Alarm {
  readonly code: string
  readonly subject: string | null
  readonly message: string
  readonly since: string
}

export interface ServerInfo {
  readonly version: string
  readonly started_at: string
  readonly key: { readonly name: string; readonly role: Role }
  readonly durable: boolean
  readonly draining: boolean
  readonly tokens: number
  readonly clients: number
  readonly streams: number
  readonly received_bytes: number
  readonly sent_bytes: number
  readonly alarms: readonly Alarm[]
}

/** Destinations that are allowed; no addresses or no ports: any. */
export interface AccessRule {
  readonly addrs: readonly string[]
  readonly ports: readonly (number | readonly [number, number])[]
}

export interface Token {
  readonly id: string
  readonly type: TokenType
  /** Masked for a key that may only read. */
  readonly token: string
  readonly label: string | null
  readonly enabled: boolean
  readonly expires_at: string | null
  readonly state: 'active' | 'disabled' | 'expired'
  readonly source: 'api' | 'command-line' | 'provider'
  readonly stored: boolean
  readonly created_at: string
  readonly clients: number
  readonly streams: number
  /** 0: no limit. */
  readonly rules_count: number
  /** In an answer about this token alone. */
  readonly rules?: readonly AccessRule[]
  readonly allow_manage_connector?: boolean
  readonly port?: number | null
  readonly proxy_protocols?: readonly ProxyProtocol[]
  readonly listening?: boolean
  readonly port_error?: string | null
  readonly username?: string | null
  readonly connectors?: readonly string[]
  readonly reverse_id?: string
}

export interface Client {
  readonly id: string
  readonly role: 'forward' | 'provider' | 'connector'
  readonly token_id: string
  readonly address: string
  readonly since: string
  readonly state: 'connected' | 'suspended'
  readonly rtt_ms: number | null
  readonly streams: number
  readonly received_bytes: number
  readonly sent_bytes: number
}

export interface Stream {
  readonly id: string
  readonly mode: 'forward' | 'reverse' | 'agent'
  readonly protocol: 'tcp' | 'udp'
  /** Known on the port of a reverse token only. */
  readonly inbound: ProxyProtocol | null
  readonly target: string | null
  readonly token_id: string
  readonly client_id: string | null
  readonly provider_id: string | null
  readonly state: 'opening' | 'open'
  readonly since: string
  readonly sent_bytes: number
  readonly received_bytes: number
}

/** Data of `event: stats`. */
export interface Stats {
  readonly time: string
  readonly draining: boolean
  readonly tokens: number
  readonly clients: number
  readonly streams: number
  readonly received_bytes: number
  readonly sent_bytes: number
  readonly alarms: readonly Alarm[]
}

/** Data of the other events, as far as the page reads it. */
export interface Happening {
  readonly time: string
  readonly token_id?: string
  readonly type?: TokenType
  readonly label?: string | null
  readonly client_id?: string
  readonly role?: string
  readonly address?: string
  readonly reason?: string
  readonly code?: string
  readonly message?: string
}

/** Body of `POST /api/token`. */
export interface NewToken {
  readonly type: TokenType
  readonly token?: string
  readonly label?: string
  readonly expires_at?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  readonly allow_manage_connector?: boolean
  readonly reverse_token?: string
  /** `undefined`: the text is none. */
  readonly rules?: readonly AccessRule[] | undefined
}

/** Body of `PATCH /api/tokens/{id}`. */
export interface TokenChange {
  readonly label?: string | null
  readonly enabled?: boolean
  readonly expires_at?: string | null
  readonly username?: string | null
  readonly password?: string | null
}
