import type { ProxyProtocol } from '../../ports.js'
import type { Role, StreamMode } from '../clients/relay-client.js'
import { POLICY_REASONS, type PolicyReason } from '../policies/policed-token.js'

/** How a dial came out: a REP (RFC 1928 section 6), or the asker left before. */
export type DialResult = number | 'cancelled'

export interface Dialled {
  readonly mode: StreamMode
  readonly result: DialResult
  readonly tookMs: number
}

/** Counts since the start, for the metrics. */
export class Statistics {
  readonly sessionsOpened = perRole()
  readonly sessionsResumed = perRole()
  /** Bytes of sessions that are over. */
  readonly receivedBytes = perRole()
  readonly sentBytes = perRole()
  readonly channelsOpened = perStreamKind()
  /** Bytes that had to wait for the rate of a token. */
  readonly throttledBytes = { up: 0, down: 0 }
  /** Datagrams that were over the rate or the quota of a token. */
  throttledDatagrams = 0
  readonly policyRefusals = Object.fromEntries(POLICY_REASONS.map((reason) => [reason, 0])) as Record<
    PolicyReason,
    number
  >
  /** Told of every dial that came to its end. @default nobody */
  onDialled: ((dialled: Dialled) => void) | undefined
}

/** Streams by mode, protocol, and what the client that asked speaks. */
export type StreamCounts = Record<StreamMode, Record<'tcp' | 'udp', Partial<Record<ProxyProtocol | 'unknown', number>>>>

export interface StreamKind {
  readonly mode: StreamMode
  readonly protocol: 'tcp' | 'udp'
  readonly inbound: ProxyProtocol | undefined
}

/** A count for each kind of stream that can be, of nothing so far. The server doesn't see the own ports of clients. */
export function perStreamKind(): StreamCounts {
  return {
    forward: { tcp: { unknown: 0 }, udp: { unknown: 0 } },
    reverse: { tcp: { socks5: 0, socks4: 0, http: 0 }, udp: { socks5: 0 } },
    agent: { tcp: { unknown: 0 }, udp: { unknown: 0 } },
  }
}

export function countStream(counts: StreamCounts, { mode, protocol, inbound }: StreamKind): void {
  const byInbound = counts[mode][protocol]
  const key = inbound ?? 'unknown'
  byInbound[key] = (byInbound[key] ?? 0) + 1
}

function perRole(): Record<Role, number> {
  return { forward: 0, provider: 0, connector: 0 }
}
