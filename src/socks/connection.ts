import { LinkSocksError } from '../errors.js'
import type { Logger } from '../log.js'
import type { AbortOptions, BindDatagrams, Clock, Dialer, SocketAddress } from '../ports.js'
import type { HandshakeStream } from '../streams/handshake-stream.js'
import type { SocksCredentials } from './credentials.js'

/** From the accepted connection to the whole request, in milliseconds. */
export const SOCKS_HANDSHAKE_TIMEOUT_MS = 10_000
/** How long the last answer may take to leave before the connection is reset, in milliseconds. */
export const SOCKS_FLUSH_TIMEOUT_MS = 5_000

export interface ServeSocksOptions extends AbortOptions {
  /** Opens what the client asks for, and bounds the time that takes. */
  readonly dialer: Dialer
  readonly clock: Clock
  readonly log: Logger
  /** What every client must present. @default none; whatever a client presents is accepted */
  readonly credentials?: SocksCredentials | undefined
  /** Called when a client gave a wrong user name or password. */
  readonly unauthorized?: (() => void) | undefined
  /** Binds the socket of a UDP association. @default none; UDP ASSOCIATE is refused with REP 0x07 */
  readonly bindDatagrams?: BindDatagrams | undefined
  /** The address the client connected to; UDP associations are bound to its host. */
  readonly localAddress: SocketAddress
  /** The client's address; only its host may use a UDP association. */
  readonly remoteAddress: SocketAddress
  /** Milliseconds from the accepted connection to the whole request; then it is reset. @default 10_000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** Called when the whole request has come, from somebody who may make one. */
  readonly requested?: (() => void) | undefined
}

/** What the steps of one connection share. */
export interface SocksConnection {
  readonly handshake: HandshakeStream
  readonly options: ServeSocksOptions
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
