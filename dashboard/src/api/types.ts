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

export type Action = 'allow' | 'deny'
export type Protocol = 'tcp' | 'udp'
export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

/** One rule of a policy about destinations; the first that speaks of one decides. */
export interface EgressRule {
  readonly action: Action
  /** Absent: any host. */
  readonly hosts?: readonly string[]
  /** Absent: any port. */
  readonly ports?: readonly (number | readonly [number, number])[]
  /** Absent: both. */
  readonly protocol?: Protocol
}

export interface PolicyHours {
  /** Absent: every day. */
  readonly days?: readonly Weekday[]
  readonly from: string
  readonly to: string
  /** Absent: UTC. */
  readonly zone?: string
}

/** Bytes per second; `burst`: bytes. */
export interface PolicyRate {
  readonly up?: number
  readonly down?: number
  readonly burst?: number
  readonly stream_up?: number
  readonly stream_down?: number
}

export type QuotaPeriod = 'day' | 'month' | 'total'
export type QuotaDirection = 'up' | 'down' | 'both'

export interface PolicyQuota {
  readonly bytes: number
  readonly period: QuotaPeriod
  /** Absent: both. */
  readonly direction?: QuotaDirection
}

/** What a token may be used for; absent fields set no limit. */
export interface Policy {
  readonly egress?: readonly EgressRule[]
  /** Absent: `deny` where a rule allows, else `allow`. */
  readonly egress_default?: Action
  readonly max_streams?: number
  readonly max_clients?: number
  readonly connects_per_minute?: number
  readonly sources?: readonly string[]
  /** Whole subjects, as RFC 4514 writes them. */
  readonly client_subjects?: readonly string[]
  readonly hours?: readonly PolicyHours[]
  readonly rate?: PolicyRate
  readonly quota?: PolicyQuota
}

/** Absent fields stay, null clears. */
export type PolicyChange = { readonly [Field in keyof Policy]?: Policy[Field] | null }

/** A quota and what of it is used in its current period. */
export interface QuotaUse extends PolicyQuota {
  readonly used: number
  readonly used_up: boolean
  /** `null`: never. */
  readonly resets_at: string | null
}

/** Bytes of payload, `up` towards the destination. */
export interface Traffic {
  readonly up: number
  readonly down: number
}

/** Answer of `GET /api/tokens/{id}/usage`. */
export interface Usage {
  readonly token_id: string
  readonly since: string
  readonly total: Traffic
  readonly month: Traffic
  readonly day: Traffic
  /** Bytes per second. */
  readonly rate: Traffic
  /** Bytes that had to wait. */
  readonly throttled: Traffic
  readonly dropped_datagrams: number
  /** Counts by reason. */
  readonly refusals: Readonly<Record<string, number>>
  readonly quota: QuotaUse | null
}

/** Body of `POST /api/tokens/{id}/check`. */
export interface Question {
  /** `host:port` */
  readonly target: string
  readonly protocol: Protocol
  /** In place of the token's own. */
  readonly policy: Policy
}

export interface Verdict {
  readonly result: Action | 'depends'
  /** Of `egress`, from 1. */
  readonly rule: number | null
  /** Whose policy or rules decided. */
  readonly token_id: string | null
  readonly reason: string
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
  readonly has_policy: boolean
  readonly policy_rules_count: number
  readonly quota?: QuotaUse | null
  /** These two are in an answer about this token alone. */
  readonly rules?: readonly AccessRule[]
  readonly policy?: Policy | null
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
  /** Of its certificate, as RFC 4514 writes it; a text of somebody else. */
  readonly subject: string | null
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
  /** Of the certificate of a client, or what an alarm is about. */
  readonly subject?: string | null
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
  readonly policy?: PolicyChange
}
