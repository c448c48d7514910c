import type { Mode } from '../../../support/e2e/modes.js'
import type { Cast, Side } from '../mixed-tunnel.js'

/** Who does what for a stream, and what is known to differ where deployed programs do it. */
export interface Roles {
  /** Has the SOCKS5 port. */
  readonly socks: Side
  /** Connects to the target. */
  readonly exit: Side
  /** Whether large messages of a sender are gzip: their clients compress, their server does not. */
  readonly gzip: Readonly<Record<'down' | 'up', boolean>>
  readonly deviations: Deviations
}

/** Habits of the deployed programs; each shows in the casts without any program of ours too. */
export interface Deviations {
  /** Their SOCKS5 side says REP 04 whatever went wrong. */
  readonly oneReply: boolean
  /** Their server keeps no more than this of a datagram where it is the exit or has the SOCKS5 port itself. */
  readonly datagramBytes: number
  /** Their server passes Data on before the ConnectResponse, and their SOCKS5 side takes that for a failure: REP 04. */
  readonly refusesFirstWords: boolean
  /** Their server sends messages of 4 KiB, and their client drops them when 1000 wait for a slow reader. */
  readonly drops: 'down' | 'up' | undefined
  /** Their relay sends the Disconnect of a connector back to it instead of on to the provider. */
  readonly losesEnd: boolean
}

/** The largest datagram that the checks send. */
const LARGEST_DATAGRAM_BYTES = 20_000
/** Their server reads no more than 4096 bytes of a datagram; at its SOCKS5 port 10 of them are the header. */
const DATAGRAM_BYTES_OF_THEIR_SERVER: Readonly<Record<Mode, number>> = {
  forward: 4_096,
  reverse: 4_086,
  agent: LARGEST_DATAGRAM_BYTES,
  autonomy: LARGEST_DATAGRAM_BYTES,
}

export function rolesOf(mode: Mode, { server, provider = server, listener = server }: Cast): Roles {
  const relayed = mode === 'agent' || mode === 'autonomy'
  const serverTheirs = server === 'theirs'
  const allTheirs = serverTheirs && provider === 'theirs' && listener === 'theirs'
  return {
    socks: listener,
    exit: provider,
    gzip: {
      down: mode !== 'forward' && provider === 'theirs',
      up: mode !== 'reverse' && listener === 'theirs',
    },
    deviations: {
      oneReply: listener === 'theirs',
      datagramBytes: serverTheirs ? DATAGRAM_BYTES_OF_THEIR_SERVER[mode] : LARGEST_DATAGRAM_BYTES,
      refusesFirstWords: serverTheirs && listener === 'theirs' && mode !== 'forward',
      drops: allTheirs && !relayed ? (mode === 'forward' ? 'down' : 'up') : undefined,
      losesEnd: relayed && serverTheirs,
    },
  }
}
