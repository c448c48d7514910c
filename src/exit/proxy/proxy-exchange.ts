import { addressText, checkTarget, literalIp } from '../../address.js'
import { withDeadline } from '../../deadline.js'
import { LinkSocksError } from '../../errors.js'
import type { AbortOptions, ByteStream, Clock, Dialer, EgressPolicy, Target } from '../../ports.js'
import { CONNECT_TIMEOUT_MS } from '../../protocol/limits.js'
import { HandshakeStream } from '../../streams/handshake-stream.js'
import { notAllowed } from '../dial/not-allowed.js'
import type { ProxyUrl } from './proxy-url.js'

/** Largest header of an HTTP proxy's answer, and more than any SOCKS5 message. */
export const MAX_PROXY_MESSAGE_BYTES = 16 * 1024

/** The first words with a proxy, whatever carries them. */
export type ProxyConversation = Pick<HandshakeStream, 'read' | 'write'>

export interface ProxyExchange<T> {
  readonly clock: Clock
  /** What is asked of the proxy, for the error of a deadline. */
  readonly what: string
  readonly signal?: AbortSignal | undefined
  /** Connects to the proxy. */
  readonly connect: (signal: AbortSignal) => Promise<ByteStream>
  /** Talks to the proxy; what it throws ends the connection. */
  readonly talk: (proxy: HandshakeStream, signal: AbortSignal) => Promise<T>
  /** Disposes of a result that came although nobody waits any more. */
  readonly discard: (value: T) => void
}

/**
 * Connects to a proxy and talks to it, both within CONNECT_TIMEOUT_MS.
 * @throws {LinkSocksError} ERR_DIAL_TIMEOUT, ERR_CANCELLED (or the signal's reason), the ERR_DIAL_* code of the proxy's
 *   answer, ERR_PROXY_FAILED for everything that went wrong with the proxy itself
 */
export function exchangeWithProxy<T>({ clock, what, signal, connect, talk, discard }: ProxyExchange<T>): Promise<T> {
  return withDeadline(
    async (deadline) => {
      const stream = await connect(deadline).catch((thrown: unknown) => {
        throw connectFailure(thrown, deadline)
      })
      const proxy = new HandshakeStream(stream, { maxMessageBytes: MAX_PROXY_MESSAGE_BYTES })
      try {
        return await talk(proxy, deadline)
      } catch (thrown) {
        const error = talkFailure(thrown, deadline)
        proxy.abort(error)
        throw error
      }
    },
    {
      clock,
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal,
      expired: () => new LinkSocksError('ERR_DIAL_TIMEOUT', `${what} through the proxy timed out`),
      discard,
    },
  )
}

/** The way to a proxy. */
export interface ProxyRoute {
  readonly proxy: ProxyUrl
  /** Dials the proxy itself. */
  readonly inner: Dialer
  readonly clock: Clock
}

/**
 * Connects to `target` through a proxy. `request` asks the proxy for it; from then on the connection is the target's.
 * @throws {LinkSocksError} as {@link exchangeWithProxy}
 */
export function dialThroughProxy(
  { proxy, inner, clock }: ProxyRoute,
  target: Target,
  request: (handshake: HandshakeStream, signal: AbortSignal) => Promise<unknown>,
  { signal }: AbortOptions,
): Promise<ByteStream> {
  return exchangeWithProxy({
    clock,
    what: `connecting to ${addressText(target)}`,
    signal,
    connect: (deadline) => inner.dial(proxy, { signal: deadline }),
    talk: async (handshake, deadline) => {
      await request(handshake, deadline)
      return handshake.release()
    },
    discard: (stream) => stream.abort(new LinkSocksError('ERR_CANCELLED', 'nobody waits for it any more')),
  })
}

/**
 * Judges a target before a proxy hears of it. A domain is resolved by the proxy and can't be judged here.
 * @throws {LinkSocksError} ERR_DIAL_FAILED (port 0, broken host), ERR_DIAL_NOT_ALLOWED
 */
export function checkProxiedTarget(target: Target, policy: EgressPolicy | undefined): void {
  checkTarget(target)
  const why = refusalOf(target, policy, 'tcp')
  if (why !== undefined) throw notAllowed(target, why)
}

/** What the policy has against `target`; `undefined` for a domain. */
export function refusalOf(
  { host, port }: Target,
  policy: EgressPolicy | undefined,
  protocol: 'tcp' | 'udp',
): string | undefined {
  // no name has a colon: what is no address either goes to the policy as it is
  const ip = literalIp(host) ?? (host.includes(':') ? host : undefined)
  return ip === undefined ? undefined : policy?.({ host: ip, port }, protocol)
}

function connectFailure(thrown: unknown, signal: AbortSignal): LinkSocksError {
  const cause = errorOfReply(thrown, signal)
  // refused or unreachable: true of the proxy, misleading about the destination
  if (signal.aborted || cause.code === 'ERR_DIAL_TIMEOUT') return cause
  return new LinkSocksError('ERR_PROXY_FAILED', `cannot reach the proxy: ${cause.message}`, { cause })
}

function talkFailure(thrown: unknown, signal: AbortSignal): LinkSocksError {
  const cause = errorOfReply(thrown, signal)
  // an ERR_DIAL_* code is the proxy's own answer about the destination
  if (signal.aborted || cause.code === 'ERR_PROXY_FAILED' || cause.code.startsWith('ERR_DIAL_')) return cause
  return new LinkSocksError('ERR_PROXY_FAILED', `the proxy failed: ${cause.message}`, { cause })
}

function errorOfReply(thrown: unknown, signal: AbortSignal): LinkSocksError {
  return signal.aborted ? LinkSocksError.cancelled(signal) : LinkSocksError.from(thrown, 'ERR_PROXY_FAILED')
}
