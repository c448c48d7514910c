import type { Logger } from '../log.js'
import type { ByteStream, Clock, Credentials, Dialer, ProxyProtocol, SocketAddress } from '../ports.js'
import type { Departure } from './departure.js'
import type { Verdict } from './failed-attempts.js'

/** A connection of a proxy port whose client speaks HTTP, from its first byte on. */
export interface HttpClient {
  /** Not started yet; nothing of it was read. */
  readonly stream: ByteStream
  readonly dialer: Dialer
  readonly clock: Clock
  readonly log: Logger
  /** What every request must present. @default nothing */
  readonly credentials?: Credentials | undefined
  /** Called for wrong credentials. @returns how the answer is to be */
  readonly unauthorized: () => Verdict
  /** What the port serves, for its help. */
  readonly protocols: readonly ProxyProtocol[]
  /** The address the client connected to. */
  readonly localAddress: () => SocketAddress
  readonly remoteAddress: SocketAddress
  /** What its requests count for where clients share a dialer. */
  readonly source: string
  /** Milliseconds in which the head of the first request must have come. */
  readonly headTimeoutMs: number
  /** Called when the head of a request has come from a client that may make one. */
  readonly requested: () => void
  /** Once it has begun, the connection is not kept for another request. */
  readonly departure?: Departure | undefined
  /** Called when the connection is gone, whoever had its stream last. */
  readonly gone: () => void
}

/**
 * Serves an HTTP client until its connection is gone, or was joined with a far end, after which both go on by themselves. Never
 * rejects. An adapter: the core has no HTTP of its own.
 */
export type ServeHttp = (client: HttpClient) => Promise<void>
