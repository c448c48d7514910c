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
  /** By mode and protocol, such as `agent tcp`. */
  readonly channelsOpened = new Map<string, number>()
  /** Told of every dial that came to its end. @default nobody */
  onDialled: ((dialled: Dialled) => void) | undefined
}

function perRole(): Record<Role, number> {
  return { forward: 0, provider: 0, connector: 0 }
}
