import type { Role, StreamMode } from '../clients/relay-client.js'

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
  /** Told of every dial that came to its end. @default nobody */
  onDialled: ((dialled: Dialled) => void) | undefined
}

/** A count for each mode and protocol of a stream, of nothing so far. */
export function perStreamKind(): Record<StreamMode, Record<'tcp' | 'udp', number>> {
  return { forward: { tcp: 0, udp: 0 }, reverse: { tcp: 0, udp: 0 }, agent: { tcp: 0, udp: 0 } }
}

function perRole(): Record<Role, number> {
  return { forward: 0, provider: 0, connector: 0 }
}
