/** What a policy of a token says: as the library takes it, and as it is stored. */

/**
 * One rule of a token's policy about where it leads. It speaks of a destination that has one of its hosts, one of its ports and its
 * protocol; of those that speak of it the first decides.
 */
export interface EgressRule {
  readonly action: 'allow' | 'deny'
  /**
   * CIDR, IP text, `A-B` of two IPs, `192.168.1.1-255` of a last octet, a name, `*.suffix` for all names below it, or a list:
   * `@private`, `@loopback`, `@metadata`. @default any host
   */
  readonly hosts?: readonly string[] | undefined
  /** A port, or the first and the last of several. @default any port */
  readonly ports?: readonly (number | readonly [number, number])[] | undefined
  /** @default both */
  readonly protocol?: 'tcp' | 'udp' | undefined
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

/** When a token may be used, in the local time of a zone. */
export interface PolicyHours {
  /** On which the time begins. @default every day */
  readonly days?: readonly Weekday[] | undefined
  /** `HH:MM`. */
  readonly from: string
  /** `HH:MM`, up to 24:00, and not included. Before `from` it is one of the next day. */
  readonly to: string
  /** A name of the IANA database. @default UTC */
  readonly zone?: string | undefined
}

/** How fast a token may be used, in bytes of payload a second. `up` is towards the destination. */
export interface PolicyRate {
  /** All of the token's streams together. @default no limit */
  readonly up?: number | undefined
  readonly down?: number | undefined
  /** Bytes that may go at once after a pause. @default 65,536 */
  readonly burst?: number | undefined
  /** Each stream for itself. @default no limit */
  readonly streamUp?: number | undefined
  readonly streamDown?: number | undefined
}

export type QuotaPeriod = 'day' | 'month' | 'total'
export type QuotaDirection = 'up' | 'down' | 'both'

/** How much may go through a token. */
export interface PolicyQuota {
  /** Of payload. */
  readonly bytes: number
  /** Days and months begin at 00:00 UTC; `total` never begins anew. */
  readonly period: QuotaPeriod
  /** Which bytes count. @default both */
  readonly direction?: QuotaDirection | undefined
}

/** What a token may be used for: where it leads, from where and by whom, when, how many at a time, how fast and how much. Absent fields set no limit. */
export interface TokenPolicy {
  readonly egress?: readonly EgressRule[] | undefined
  /** What holds for a destination of which no rule speaks. @default `deny` where a rule allows, else `allow` */
  readonly egressDefault?: 'allow' | 'deny' | undefined
  /** TCP connections and UDP associations at a time. */
  readonly maxStreams?: number | undefined
  /** Client instances at a time. */
  readonly maxClients?: number | undefined
  /** TCP connections and UDP associations that may begin in any minute. */
  readonly connectsPerMinute?: number | undefined
  /** Addresses that its clients come from: CIDR, IP text or a range. */
  readonly sources?: readonly string[] | undefined
  /**
   * Subjects of the certificates that its own clients have to prove (not the connectors of a reverse token), each as RFC 4514 writes a
   * whole one: `CN=ann,O=Example`.
   */
  readonly clientSubjects?: readonly string[] | undefined
  readonly hours?: readonly PolicyHours[] | undefined
  readonly rate?: PolicyRate | undefined
  readonly quota?: PolicyQuota | undefined
}
