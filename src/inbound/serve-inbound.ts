import { addressText } from '../address.js'
import { LinkSocksError } from '../errors.js'
import type { ByteStream, ProxyProtocol, Target } from '../ports.js'
import { MAX_SOCKS_MESSAGE_BYTES } from '../socks/codec.js'
import { MAX_SOCKS4_REQUEST_BYTES } from '../socks/codec4.js'
import {
  flushAndClose,
  type InboundRequest,
  type ServeSocksOptions,
  type SocksConnection,
  sourceOf,
} from '../socks/connection.js'
import { readSocks4 } from '../socks/read-socks4.js'
import { readSocks5 } from '../socks/read-socks5.js'
import { HandshakeStream } from '../streams/handshake-stream.js'
import type { Departure } from './departure.js'
import type { Verdict } from './failed-attempts.js'
import { recognise } from './recognise.js'
import { refuseHttp, refuseSocks4, refuseSocks5 } from './refusals.js'
import type { HttpClient, ServeHttp } from './serve-http.js'

/** From the accepted connection to the whole request, recognising the protocol included, in milliseconds. */
export const SOCKS_HANDSHAKE_TIMEOUT_MS = 10_000
/** Longest message of a handshake in any protocol. */
const MAX_MESSAGE_BYTES = Math.max(MAX_SOCKS_MESSAGE_BYTES, MAX_SOCKS4_REQUEST_BYTES)

export interface ServeInboundOptions extends Omit<ServeSocksOptions, 'unauthorized'> {
  /** Milliseconds from the accepted connection to the whole request; then it is reset. @default 10_000 */
  readonly handshakeTimeoutMs?: number | undefined
  /** Called when the whole request has come, from a client that may make one. */
  readonly requested?: (() => void) | undefined
  /** Called when a client gave a wrong user name or password. @returns how it is to be answered */
  readonly unauthorized?: (() => Verdict) | undefined
  /** What is served; the others are refused. @default all */
  readonly protocols?: readonly ProxyProtocol[] | undefined
  /** @default HTTP is refused */
  readonly serveHttp?: ServeHttp | undefined
  /** Once it has begun, no connection is kept for another request. */
  readonly departure?: Departure | undefined
}

/** What a port serves unless it is told otherwise. */
export const PROXY_PROTOCOLS: readonly ProxyProtocol[] = ['socks5', 'socks4', 'http']

/** A correct answer, at once. */
const AT_ONCE: Verdict = { delayMs: 0, refused: false }

interface InboundConnection extends SocksConnection {
  readonly inbound: ServeInboundOptions
  /** When it was accepted, by the clock. */
  readonly since: number
}

/** Reads a whole request, from the first byte of the connection on. What goes wrong is answered in its protocol, then thrown. */
type ReadRequest = (connection: InboundConnection) => Promise<InboundRequest>

const READERS: Readonly<Record<ProxyProtocol, ReadRequest>> = {
  socks5: readSocks5,
  socks4: readSocks4,
  http: handOver,
}

const REFUSALS: Readonly<Record<ProxyProtocol, ReadRequest>> = {
  socks5: refuseSocks5,
  socks4: refuseSocks4,
  http: refuseHttp,
}

/**
 * Serves one client of a port on `stream`, from its first byte on. Settles when its request is served, or refused and the
 * connection gone; streams that were joined then go on by themselves. Never rejects: failures are logged. `options.signal` resets
 * the connection at any time.
 */
export async function serveInbound(stream: ByteStream, options: ServeInboundOptions): Promise<void> {
  const handshake = new HandshakeStream(stream, { maxMessageBytes: MAX_MESSAGE_BYTES })
  const unfollow = options.signal && follow(handshake, options.signal)
  if (unfollow !== undefined) void handshake.closed.then(unfollow)
  const { unauthorized, ...rest } = options
  const socks = { ...rest, unauthorized: () => unauthorized?.().delayMs ?? 0 }
  await serve({ handshake, options: socks, inbound: options, since: options.clock.now(), closed: unfollow })
}

/** Aborts the connection with the caller's signal until the function returned is called. What waits for it then fails. */
function follow(handshake: HandshakeStream, signal: AbortSignal): () => void {
  const onAbort = (): void => handshake.abort(LinkSocksError.cancelled(signal))
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort)
  return () => signal.removeEventListener('abort', onAbort)
}

async function serve(connection: InboundConnection): Promise<void> {
  const { handshake, inbound } = connection
  const { clock, log, remoteAddress, requested } = inbound
  let target: Target | undefined
  try {
    const request = await requestInTime(connection)
    target = request.target
    if (target !== undefined) requested?.()
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
  const { handshake, inbound } = connection
  const { clock, handshakeTimeoutMs = SOCKS_HANDSHAKE_TIMEOUT_MS } = inbound
  let late: LinkSocksError | undefined
  const timer = clock.after(handshakeTimeoutMs, () => {
    late = new LinkSocksError('ERR_SOCKS_TIMEOUT', `no whole request within ${handshakeTimeoutMs} ms`)
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
  const recognised = await connection.handshake.read(recognise)
  const { protocols = PROXY_PROTOCOLS, serveHttp } = connection.inbound
  // to SOCKS5 these are another version, which it refuses without a word
  if (recognised === 'tls' || recognised === 'other') return readSocks5(connection)
  const served = protocols.includes(recognised) && (recognised !== 'http' || serveHttp !== undefined)
  return (served ? READERS : REFUSALS)[recognised](connection)
}

/** HTTP has many requests on one connection: whoever serves it reads them. */
async function handOver(connection: InboundConnection): Promise<InboundRequest> {
  const { serveHttp } = connection.inbound
  const serve = async (): Promise<void> => {
    const client = httpClientOf(connection)
    try {
      await serveHttp?.(client)
    } catch (thrown) {
      const error = LinkSocksError.from(thrown, 'ERR_HTTP')
      client.log.error('proxy.unavailable', { error: error.message })
      client.stream.abort(error)
      client.gone()
    }
  }
  return { serve }
}

function httpClientOf({ handshake, inbound, options, since, closed }: InboundConnection): HttpClient {
  const { dialer, clock, log, credentials, localAddress, remoteAddress, requested, unauthorized, departure } = inbound
  const { handshakeTimeoutMs = SOCKS_HANDSHAKE_TIMEOUT_MS, protocols = PROXY_PROTOCOLS } = inbound
  return {
    stream: handshake.release(),
    dialer,
    clock,
    log,
    credentials,
    unauthorized: () => unauthorized?.() ?? AT_ONCE,
    protocols,
    localAddress,
    remoteAddress,
    source: sourceOf(options),
    headTimeoutMs: Math.max(0, since + handshakeTimeoutMs - clock.now()),
    requested: () => requested?.(),
    departure,
    gone: () => closed?.(),
  }
}
