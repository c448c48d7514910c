import { LinkSocksError } from '../../errors.js'
import type { AbortOptions } from '../../ports.js'
import { isDowngrade, redirectUrl, sameHost } from '../../protocol/handshake.js'
import { WsTransport } from '../websocket/ws-transport.js'
import { connectStep } from './connect-step.js'
import {
  DEFAULT_PHASE_TIMEOUTS,
  openServerSocket,
  type ServerSocketOptions,
  shownOrigin,
  shownUrl,
} from './server-socket.js'
import { type Redirect, upgrade } from './ws-upgrade.js'

/** Redirects of one handshake that are followed (docs/protocol.md A.1). */
export const MAX_REDIRECTS = 5

export interface ConnectWebSocketOptions extends ServerSocketOptions {
  /** ws or wss, the query of the handshake included. */
  readonly url: string
  /** Further header fields of the handshake. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** A secret follows in the first message: no redirect to another host is followed then. */
  readonly secretInBand: boolean
  /** Called when the handshake was redirected to another host. */
  readonly moved?: (() => void) | undefined
}

/**
 * Opens a WebSocket: proxy, TCP, TLS, upgrade, and up to {@link MAX_REDIRECTS} redirects, each step with a deadline. The
 * query goes to the first URL alone; a redirecting server copies what it wants to keep.
 * @throws {LinkSocksError} ERR_CONNECT, saying what failed and never repeating the query; ERR_OPTION for a proxy or header
 *   that can't be used; ERR_URL for a Location that is none; the reason of `signal`
 */
export async function connectWebSocket(
  options: ConnectWebSocketOptions,
  { signal }: AbortOptions = {},
): Promise<WsTransport> {
  let url = options.url
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const result = await connectOnce(url, options, signal)
    if (result instanceof WsTransport) return result
    const next = redirectUrl(url, result.location)
    checkRedirect(url, next, options)
    if (!sameHost(url, next)) options.moved?.()
    url = next
  }
  throw new LinkSocksError('ERR_CONNECT', `${shownUrl(options.url)} redirected more than ${MAX_REDIRECTS} times`)
}

async function connectOnce(
  url: string,
  options: ConnectWebSocketOptions,
  signal: AbortSignal | undefined,
): Promise<WsTransport | Redirect> {
  const socket = await openServerSocket(url, options, signal)
  const timeoutMs = options.timeouts?.upgradeMs ?? DEFAULT_PHASE_TIMEOUTS.upgradeMs
  return connectStep(`no WebSocket at ${shownUrl(url)}`, { timeoutMs, signal, socket }, (deadline) =>
    upgrade({ url, socket, headers: options.headers ?? {}, signal: deadline }),
  )
}

/** A redirect must not take a secret out of TLS or to somebody else. */
function checkRedirect(from: string, to: string, { secretInBand, headers = {} }: ConnectWebSocketOptions): void {
  const refuse = (why: string): never => {
    const what = `${shownOrigin(from)} redirects to ${shownOrigin(to)}`
    throw new LinkSocksError('ERR_CONNECT', `${what}, ${why}; if that is right, connect to ${shownUrl(to)} directly`)
  }
  if (isDowngrade(from, to)) refuse('which has no TLS')
  if (sameHost(from, to)) return
  if (secretInBand) refuse('which would get the token')
  if (Object.keys(headers).length > 0) refuse('which would get the handshake headers you set')
}
