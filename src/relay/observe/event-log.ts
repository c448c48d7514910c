import type { QuotaPeriod } from '../../policy-fields.js'
import type { Clock, ProxyProtocol } from '../../ports.js'
import type { Role, StreamMode } from '../clients/relay-client.js'
import type { PolicyReason } from '../policies/policed-token.js'

/** Events that are kept for those who come (back) later. */
export const MAX_EVENTS = 1_000

/** What wants an operator's attention. */
export type AlarmCode =
  | 'port-unavailable'
  | 'not-stored'
  | 'authentication-failures'
  | 'event-loop-delay'
  | 'out-of-descriptors'
  | 'certificate-not-loaded'
  | 'certificate-expiring'
  | 'certificate-not-issued'

export interface AlarmInfo {
  readonly code: AlarmCode
  /** What it is about: the id of a token, an address, or where a certificate comes from. */
  readonly subject: string | undefined
  readonly message: string
  /** Unix milliseconds. */
  readonly since: number
}

export interface TokenEvent {
  readonly type: 'token.added' | 'token.changed' | 'token.removed'
  readonly tokenId: string
  readonly tokenType: 'forward' | 'reverse' | 'connector'
  readonly label: string | undefined
}

export interface ClientEvent {
  readonly type: 'client.connected' | 'client.suspended' | 'client.resumed' | 'client.closed'
  readonly clientId: string
  readonly role: Role
  readonly tokenId: string
  readonly address: string
  /** Of its certificate. */
  readonly subject?: string | undefined
  readonly reason?: string | undefined
}

export interface StreamEvent {
  readonly type: 'stream.opened' | 'stream.closed'
  readonly streamId: number
  readonly mode: StreamMode
  readonly protocol: 'tcp' | 'udp'
  /** What the client that asked speaks; known only on the SOCKS port of a reverse token. */
  readonly inbound: ProxyProtocol | undefined
  readonly target: string | undefined
  readonly tokenId: string
  readonly clientId: string | undefined
  readonly providerId: string | undefined
  /** Of those that are over. */
  readonly ended?: {
    readonly sentBytes: number
    readonly receivedBytes: number
    /** The code of what ended it, if that was no orderly end. */
    readonly error: string | undefined
  }
}

export interface AlarmEvent {
  readonly type: 'alarm.raised' | 'alarm.cleared'
  readonly alarm: AlarmInfo
}

/** The policy of a token refused something: once a second at most for a token and reason. */
export interface PolicyEvent {
  readonly type: 'policy.refused'
  readonly tokenId: string
  readonly reason: PolicyReason
  /** Of the egress rule that decided last, from 1; 0: none spoke of it. */
  readonly rule: number | undefined
  /** What was asked for last, or from where. */
  readonly subject: string | undefined
  /** Since the event before. */
  readonly count: number
}

/** Most of the quota of a token is used, or all of it. */
export interface QuotaEvent {
  readonly type: 'policy.quota-warning' | 'policy.quota-used-up'
  readonly tokenId: string
  /** Bytes that count. */
  readonly used: number
  /** Of the quota. */
  readonly bytes: number
  readonly period: QuotaPeriod
  /** Unix milliseconds; `undefined`: never by itself. */
  readonly resetsAt: number | undefined
}

/** What happens in a relay. No event carries a secret. */
export type RelayEvent = TokenEvent | ClientEvent | StreamEvent | AlarmEvent | PolicyEvent | QuotaEvent

export interface LoggedEvent {
  /** Ascending by one, from 1. */
  readonly sequence: number
  /** Unix milliseconds. */
  readonly time: number
  readonly event: RelayEvent
}

/** The last {@link MAX_EVENTS} events, and whoever wants to hear of the next. */
export class EventLog {
  readonly #clock: Pick<Clock, 'wallTime'>
  readonly #ring: LoggedEvent[] = []
  readonly #listeners = new Set<(event: LoggedEvent) => void>()
  #sequence = 0

  constructor(clock: Pick<Clock, 'wallTime'>) {
    this.#clock = clock
  }

  /** Sequence of the newest event; 0 before the first. */
  get last(): number {
    return this.#sequence
  }

  emit(event: RelayEvent): void {
    this.#sequence += 1
    const logged = { sequence: this.#sequence, time: this.#clock.wallTime(), event }
    this.#ring[this.#sequence % MAX_EVENTS] = logged
    for (const listener of this.#listeners) listener(logged)
  }

  /** What came after `sequence`; `undefined` when some of it is gone, or when it never was. */
  after(sequence: number): readonly LoggedEvent[] | undefined {
    if (sequence > this.#sequence || this.#sequence - sequence > MAX_EVENTS) return undefined
    const events: LoggedEvent[] = []
    for (let next = sequence + 1; next <= this.#sequence; next += 1) {
      const event = this.#ring[next % MAX_EVENTS]
      if (event !== undefined) events.push(event)
    }
    return events
  }

  /** @param listener must not throw @returns what ends it */
  subscribe(listener: (event: LoggedEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
