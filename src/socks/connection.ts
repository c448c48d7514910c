import { networkOf, socketIp } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type {
  AbortOptions,
  BindDatagrams,
  Clock,
  Credentials,
  Dialer,
  LocalAddress,
  SocketAddress,
  Target,
} from '../ports.js'
import type { HandshakeStream } from '../streams/handshake-stream.js'

/** How long the last answer may take to leave before the connection is reset, in milliseconds. */
export const SOCKS_FLUSH_TIMEOUT_MS = 5_000

export interface ServeSocksOptions extends AbortOptions {
  /** Opens what the client asks for, and bounds the time that takes. */
  readonly dialer: Dialer
  readonly clock: Clock
  readonly log: Logger
  /** What every client must present. @default none; whatever a client presents is accepted */
  readonly credentials?: Credentials | undefined
  /** Called when a client gave a wrong user name or password. @returns for how many milliseconds its answer is held back */
  readonly unauthorized?: (() => number) | undefined
  /** Binds the socket of a UDP association. @default none; UDP ASSOCIATE is refused with REP 0x07 */
  readonly bindDatagrams?: BindDatagrams | undefined
  /**
   * Takes datagrams of an association from one port of the client alone: the one it named, else the first one seen. Without it other
   * users of the client's machine could send through the association and take its answers over. @default false
   */
  readonly udpStrictPort?: boolean | undefined
  /** The address the client connected to; UDP associations are bound to its host. */
  readonly localAddress: () => LocalAddress
  /** The client's address; only its host may use a UDP association. */
  readonly remoteAddress: SocketAddress
}

/** What the steps of one connection share. */
export interface SocksConnection {
  readonly handshake: HandshakeStream
  readonly options: ServeSocksOptions
  /** Called when the client's stream has closed after it was released. */
  readonly closed?: (() => void) | undefined
}

/** What a client asks for, once all of it has come. */
export interface InboundRequest {
  /** Absent where one connection carries many requests: of these, not even the first has come. */
  readonly target?: Target | undefined
  /**
   * Settles when it is served; streams that were joined go on by themselves. Called once.
   * @throws {LinkSocksError} what went wrong, after it was answered
   */
  serve(): Promise<void>
}

/** What a client's requests count for where clients share a dialer. */
export function sourceOf({ remoteAddress }: ServeSocksOptions): string {
  return networkOf(socketIp(remoteAddress.host))
}

/** Opens something for a client, with a signal that aborts when the client is gone or is made to go meanwhile. */
export async function openFor<T>(client: HandshakeStream, open: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let opening: AbortController | undefined = controller
  if (client.over) controller.abort(new LinkSocksError('ERR_STREAM_RESET', 'the client went away'))
  void client.closed.then((error) => {
    opening?.abort(error ?? new LinkSocksError('ERR_STREAM_RESET', 'the client went away'))
  })
  try {
    return await open(controller.signal)
  } finally {
    // `closed` keeps its callbacks as long as the client is there, but not this
    opening = undefined
  }
}

/** Sends what is queued and ends the connection, at the latest after {@link SOCKS_FLUSH_TIMEOUT_MS}. */
export async function flushAndClose(handshake: HandshakeStream, clock: Clock): Promise<void> {
  const timer = clock.after(SOCKS_FLUSH_TIMEOUT_MS, () => {
    handshake.abort(new LinkSocksError('ERR_SOCKS_TIMEOUT', 'the client does not read its answer'))
  })
  handshake.close()
  await handshake.closed
  timer.cancel()
}
