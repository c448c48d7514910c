import { addressText } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { ByteStream, Target } from '../ports.js'
import { MAX_SOCKS_MESSAGE_BYTES } from '../socks/codec.js'
import {
  flushAndClose,
  type InboundRequest,
  type ServeSocksOptions,
  type SocksConnection,
} from '../socks/connection.js'
import { readSocks5 } from '../socks/read-socks5.js'
import { HandshakeStream } from '../streams/handshake-stream.js'
import { type InboundProtocol, recognise } from './recognise.js'
import { refuseHttp, refuseSocks4 } from './refusals.js'

/** From the accepted connection to the whole request, recognising the protocol included, in milliseconds. */
export const SOCKS_HANDSHAKE_TIMEOUT_MS = 10_000

export interface ServeInboundOptions extends ServeSocksOptions {
  /** Milliseconds from the accepted connection to the whole request; then it is reset. @default 10_000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** Called when the whole request has come, from a client that may make one. */
  readonly requested?: (() => void) | undefined
}

interface InboundConnection extends SocksConnection {
  readonly options: ServeInboundOptions
}

/** Reads a whole request, from the first byte of the connection on. What goes wrong is answered in its protocol, then thrown. */
type ReadRequest = (connection: InboundConnection) => Promise<InboundRequest>

const READERS: Readonly<Record<InboundProtocol, ReadRequest>> = {
  socks5: readSocks5,
  socks4: refuseSocks4,
  http: refuseHttp,
  // to SOCKS5 these are another version, which it refuses without a word
  tls: readSocks5,
  other: readSocks5,
}

/**
 * Serves one client of a port on `stream`, from its first byte on. Settles when its request is served, or refused and the
 * connection gone; streams that were joined then go on by themselves. Never rejects: failures are logged. `options.signal` resets
 * the connection at any time.
 */
export async function serveInbound(stream: ByteStream, options: ServeInboundOptions): Promise<void> {
  const handshake = new HandshakeStream(stream, { maxMessageBytes: MAX_SOCKS_MESSAGE_BYTES })
  const unfollow = options.signal && follow(handshake, options.signal)
  if (unfollow !== undefined) void handshake.closed.then(unfollow)
  await serve({ handshake, options, closed: unfollow })
}

/** Aborts the connection with the caller's signal until the function returned is called. What waits for it then fails. */
function follow(handshake: HandshakeStream, signal: AbortSignal): () => void {
  const onAbort = (): void => handshake.abort(LinkSocksError.cancelled(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort)
  return () => signal.removeEventListener('abort', onAbort)
}

async function serve(connection: InboundConnection): Promise<void> {
  const { handshake, options } = connection
  const { clock, log, remoteAddress } = options
  let target: Target | undefined
  try {
    const request = await requestInTime(connection)
    target = request.target
    options.requested?.()
    await request.serve()
  } catch (thrown) {
    const { code, message } = LinkSocksError.from(thrown, 'ERR_SOCKS_MALFORMED')
    // a client that left, or was made to leave, is no failure
    const level = code === 'ERR_STREAM_RESET' || code === 'ERR_CANCELLED' ? 'debug' : 'info'
    log[level]('socks.failed', {
      client: remoteAddress.host,
      target: target && addressText(target),
      code,
      error: message,
    })
    await flushAndClose(handshake, clock)
  }
}

/** The connection is reset when the whole request does not come in time: what reads it fails then. */
async function requestInTime(connection: InboundConnection): Promise<InboundRequest> {
  const { handshake, options } = connection
  const { clock, handshakeTimeoutMs = SOCKS_HANDSHAKE_TIMEOUT_MS } = options
  let late: LinkSocksError | undefined
  const timer = clock.after(handshakeTimeoutMs, () => {
    late = new LinkSocksError('ERR_SOCKS_TIMEOUT', `no whole SOCKS5 request within ${handshakeTimeoutMs} ms`)
    handshake.abort(late)
  })
  try {
    const request = await readRequest(connection)
    if (late !== undefined) throw late
    return request
  } finally {
    timer.cancel()
  }
}

async function readRequest(connection: InboundConnection): Promise<InboundRequest> {
  const protocol = await connection.handshake.read(recognise)
  return READERS[protocol](connection)
}
